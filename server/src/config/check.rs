//! Does the configuration hold together: every endpoint understood by its transport, no port taken twice, keys
//! readable. Finds everything at once, and still points into the file.

use std::{fs::File, io, net::SocketAddr, path::Path, sync::Arc};

use commucat_bundle::Bundle;
use commucat_storage::Dsn;
use commucat_transport_api::{ConfigError, ConfigProblem, Spec, UserTable};

use super::{
    BridgeConfig,
    error::{Collector, ConfigFileError},
    node::{KeyPath, Segment},
    source::Source,
    suggest::nearest,
};

impl BridgeConfig {
    /// Looks for what cannot work, before anything is started.
    ///
    /// # Errors
    /// [`ConfigFileError::Invalid`] with every problem found.
    pub fn check(&self, bundle: &Bundle) -> Result<(), ConfigFileError> {
        let mut issues = self.source.collector();
        for (at, endpoint) in self.resolved_endpoints(bundle).iter().enumerate() {
            let key = format!("endpoints[{at}]");
            self.check_spec(&endpoint.spec, &key, bundle, &mut issues);
            if endpoint.public.as_ref().is_some_and(|public| public.port == 0) {
                issues.at(&format!("{key}.public"), "clients cannot dial port 0");
            }
        }
        self.check_ports(&mut issues);
        if let Some(tls) = &self.server.tls {
            check_readable(&tls.cert, "server.tls_cert", &mut issues);
            check_readable(&tls.key, "server.tls_key", &mut issues);
        }
        if let Some(Err(error)) = self.storage.dsn.as_ref().map(|dsn| dsn.expose().parse::<Dsn>()) {
            let key =
                if self.source.has(&KeyPath::parse("storage.postgres_dsn")) { "postgres_dsn" } else { "dsn" };
            issues.at(&format!("storage.{key}"), error.to_string());
        }
        issues.finish()
    }

    /// The carrier is checked alone first, so that a mistake is reported where it stands.
    fn check_spec(&self, spec: &Spec, key: &str, bundle: &Bundle, issues: &mut Collector<'_>) {
        if let Some(via) = &spec.via {
            self.check_spec(via, &format!("{key}.via"), bundle, issues);
        }
        let mut alone = spec.clone();
        alone.via = None;
        check_paths(&alone.params, &format!("{key}.params"), issues);
        if let Err(error) = bundle.server(&alone, &Arc::new(UserTable::default())) {
            report(&error, &alone, key, bundle, &self.source, issues);
        }
    }

    fn check_ports(&self, issues: &mut Collector<'_>) {
        let endpoints = self.endpoints.iter().enumerate().filter_map(|(at, endpoint)| {
            let last = std::iter::successors(Some(&endpoint.spec), |spec| spec.via.as_deref()).last()?;
            Some((format!("endpoints[{at}].listen"), last.endpoint.socket_addr()?))
        });
        let own = [("server.admin_bind", self.server.admin_bind), ("server.api_bind", self.server.api_bind)];
        let own = own.into_iter().filter_map(|(key, bind)| Some((key.to_owned(), bind?)));
        let mut taken: Vec<(String, SocketAddr)> = Vec::new();
        for (key, bind) in endpoints.chain(own) {
            if let Some((other, _bind)) = taken.iter().find(|(_key, other)| clash(*other, bind)) {
                issues.at(&key, format!("port {} is already used by {other}", bind.port()));
            }
            taken.push((key, bind));
        }
    }
}

fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && overlap
}

fn check_readable(path: &Path, key: &str, issues: &mut Collector<'_>) {
    if let Err(error) = File::open(path) {
        issues.at(key, unreadable(path, &error));
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "cannot read {path}: permission denied; the user that the bridge runs as must be able to read it"
        ),
        io::ErrorKind::NotFound => format!("cannot read {path}: there is no such file"),
        _ => format!("cannot read {path}: {error}"),
    }
}

/// Absolute paths among the parameters of a transport that exist and may not be read: no transport can make up for
/// that, and its own message would name no file owner.
fn check_paths(params: &serde_json::Value, key: &str, issues: &mut Collector<'_>) {
    match params {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(name, value)| check_paths(value, &format!("{key}.{name}"), issues));
        }
        serde_json::Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, value)| check_paths(value, &format!("{key}[{at}]"), issues));
        }
        serde_json::Value::String(text) if text.starts_with('/') => {
            let path = Path::new(text);
            if let Err(error) = File::open(path)
                && error.kind() == io::ErrorKind::PermissionDenied
            {
                issues.at(key, unreadable(path, &error));
            }
        }
        _ => {}
    }
}

/// What a transport says about its parameters, at the key it is about: the transport knows fields, not files.
fn report(
    error: &ConfigError,
    spec: &Spec,
    key: &str,
    bundle: &Bundle,
    source: &Source,
    issues: &mut Collector<'_>,
) {
    let text = reasons(error);
    let (path, message) = match (error.problem(), error.field()) {
        (ConfigProblem::NotBuilt, _) => {
            let known: Vec<_> = bundle.descriptors().map(|known| known.id.as_str().to_owned()).collect();
            let hint = nearest(spec.transport.as_str(), known.iter().map(String::as_str)).map_or_else(
                || format!("this build has no such transport; it has: {}", known.join(", ")),
                |meant| format!("this build has no such transport; did you mean `{meant}`?"),
            );
            (KeyPath::parse(&format!("{key}.transport")), hint)
        }
        (_, Some("transport")) => (KeyPath::parse(&format!("{key}.transport")), text),
        (_, field) => params_problem(field, &text, key, source),
    };
    issues.at_path(&path, message);
}

fn params_problem(field: Option<&str>, text: &str, key: &str, source: &Source) -> (KeyPath, String) {
    let params = KeyPath::parse(&format!("{key}.params"));
    let named = |marker: &str| {
        let rest = text.split_once(marker)?.1;
        Some(rest.split('`').collect::<Vec<_>>())
    };
    if let Some(words) = named("unknown field `") {
        let (word, known) = words.split_first().map_or(("", &[][..]), |(word, rest)| (*word, rest));
        let known = known.iter().copied().skip(1).step_by(2);
        let message = nearest(word, known.clone()).map_or_else(
            || format!("unknown key; known here: {}", known.collect::<Vec<_>>().join(", ")),
            |meant| format!("unknown key; did you mean `{meant}`?"),
        );
        return (source.find_key(&params, word).unwrap_or(params), message);
    }
    if let Some(words) = named("missing field `") {
        let mut path = params;
        path.0.extend(words.first().map(|word| Segment::Key((*word).to_owned())));
        return (path, "this key is required and missing".to_owned());
    }
    let under = field.filter(|field| *field != "params").map(|field| {
        let field = field.strip_prefix("params.").unwrap_or(field);
        let mut path = params.clone();
        path.0.extend(KeyPath::parse(field).0);
        source.find_key(&params, field).unwrap_or(path)
    });
    (under.unwrap_or(params), text.to_owned())
}

/// An error with everything below it. Printing each level once is right: no error of the contract prints its source.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
