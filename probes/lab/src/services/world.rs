//! The services of a plan, running in the world of a lab, and trusted by its programs.

use std::{io::Write as _, process::Stdio};

use super::{Authority, ServiceError, Services, WorldPlan};
use crate::{Place, PlaceRuntime};

/// A folder that every system has (FHS 3.0 §3.17) and programs that are tested do not look at. The programs of a place,
/// and nobody else, see a small file system there, which vanishes with them.
const TRUST_FOLDER: &str = "/srv";
const TRUST_FILE: &str = "/srv/lab-authority.pem";
/// Run in the place: covers the folder and writes what comes on standard input.
const TRUST_SCRIPT: &str = "mount -t tmpfs -o size=64k,mode=755 tmpfs \"$1\" && cat >\"$2\"";

/// Running services in a place. They end when this is dropped.
#[derive(Debug)]
pub struct World {
    services: Services,
    authority: Authority,
    runtime: PlaceRuntime,
}

impl World {
    /// Starts the services of a plan in a place, which must own their addresses.
    ///
    /// # Errors
    /// [`ServiceError::Place`] when the place cannot run anything, else as [`Services::start`].
    pub fn start(place: &Place, plan: &WorldPlan) -> Result<Self, ServiceError> {
        let runtime = place.runtime().map_err(ServiceError::Place)?;
        let plan = plan.clone();
        let started = runtime.block_on(async move {
            let authority = Authority::new()?;
            let services = Services::start(&plan, &authority).await?;
            Ok((services, authority))
        });
        let (services, authority) = started.map_err(ServiceError::Place)??;
        Ok(Self { services, authority, runtime })
    }

    /// What runs.
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// Who signed the certificates.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Where more servers can be started.
    pub const fn runtime(&self) -> &PlaceRuntime {
        &self.runtime
    }

    /// Lets the programs of a place trust these servers: `SSL_CERT_FILE` and `CURL_CA_BUNDLE` name a file that only
    /// they see.
    ///
    /// # Errors
    /// [`ServiceError::Trust`] when the file could not be made.
    pub fn trusted_in(&self, place: &Place) -> Result<(), ServiceError> {
        let mut command = place.command("/bin/sh");
        command.args(["-c", TRUST_SCRIPT, "sh", TRUST_FOLDER, TRUST_FILE]).stdin(Stdio::piped());
        let mut shell = command.spawn().map_err(ServiceError::Place)?;
        if let Some(mut stdin) = shell.stdin() {
            stdin.write_all(self.authority.pem().as_bytes()).map_err(ServiceError::Trust)?;
        }
        let status = shell.wait().map_err(ServiceError::Place)?;
        if !status.success() {
            return Err(ServiceError::Trust(std::io::Error::other(format!("the shell ended with {status}"))));
        }
        for variable in ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
            place.set_env(variable, TRUST_FILE);
        }
        Ok(())
    }
}
