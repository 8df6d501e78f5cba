//! What several policies share: their way to read a hello, a name and a list.

use std::net::Ipv4Addr;

use crate::{
    hello::{Hello, Reassembly},
    lists::Lists,
    parameter::{Kind, Parameter, ParameterError, Values},
    spec::Names,
};

/// The words for [`Reassembly`].
pub(super) const REASSEMBLY: Kind = Kind::Choice(&["none", "tcp", "tcp-tls"]);

/// The parameter of names to act on.
pub(super) const LIST: Parameter = Parameter::new(
    "list",
    Kind::Words,
    "blocked",
    "names to act on, with everything below them: `blocked` is the censor's list",
    "choice of this lab: real lists hold some 10^5 names",
);

/// What the parameter `reassembly` says.
pub(super) fn reassembly(values: &Values) -> Result<Reassembly, ParameterError> {
    Ok(match values.choice("reassembly")? {
        "tcp" => Reassembly::Tcp,
        "tcp-tls" => Reassembly::TcpTls,
        _ => Reassembly::None,
    })
}

/// The name in the hello, when it is listed.
pub(super) fn listed<'a>(hello: &'a Hello, names: &Names, lists: &Lists) -> Option<&'a str> {
    hello.server_name().filter(|name| names.contain(name, lists))
}

/// A parameter that is a small number: `least..=most`.
pub(super) fn small(values: &Values, name: &str, least: u8, most: u8) -> Result<u8, ParameterError> {
    let number = values.number(name)?;
    u8::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| values.refuse(name, &number, &format!("a number from {least} to {most}")))
}

/// A parameter that is one or more IPv4 addresses.
pub(super) fn addresses(values: &Values, name: &str) -> Result<Vec<Ipv4Addr>, ParameterError> {
    let parsed: Option<Vec<Ipv4Addr>> = values.words(name)?.iter().map(|word| word.parse().ok()).collect();
    parsed
        .filter(|addresses| !addresses.is_empty())
        .ok_or_else(|| values.refuse(name, &values_text(values, name), "IPv4 addresses between commas"))
}

fn values_text(values: &Values, name: &str) -> String {
    values.words(name).map(|words| words.join(",")).unwrap_or_default()
}
