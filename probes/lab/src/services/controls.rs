//! The control servers of the lab's world: what an operator runs abroad and at home, with certificates of the lab.

use commucat_control::{Certificate, Control, ControlConfig, Limits, Listen};

use super::{Authority, ControlSite, ServiceError, Services};

/// A lab has one client, which may open as many connections as a censor's limit takes to be met.
const CONNECTIONS_PER_ADDRESS: u32 = 4096;
/// All of a lab's datagrams come from one address: a flood test at full speed must not be thinned out here.
const DATAGRAMS_PER_SECOND: u32 = 100_000;

impl Services {
    /// Starts the control servers. Their certificates name every name of the zone, so that a client can send any of
    /// these as SNI and still check whom it talks to.
    pub(super) async fn start_controls(&mut self, authority: &Authority) -> Result<(), ServiceError> {
        let names: Vec<String> = self.plan.zone().into_iter().map(|(name, _)| name).collect();
        for control in &mut self.plan.controls {
            let Some(first) = control.tcp.first() else { continue };
            let identity = authority.issue_pem(&names, first.ip())?;
            let config = config(control, Certificate::Pem { chain: identity.chain, key: identity.key });
            let running = Control::start(config).await.map_err(ServiceError::Control)?;
            let addresses = running.addresses();
            control.tcp.clone_from(&addresses.tcp);
            control.udp.clone_from(&addresses.udp);
            control.quic.clone_from(&addresses.quic);
            self.controls.push(running);
        }
        Ok(())
    }
}

fn config(control: &ControlSite, certificate: Certificate) -> ControlConfig {
    let listen = |at: &Vec<_>| at.iter().map(|&at| Listen::from(at)).collect();
    ControlConfig {
        tcp: listen(&control.tcp),
        udp: listen(&control.udp),
        quic: listen(&control.quic),
        certificate,
        limits: Limits {
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            datagrams_per_second: DATAGRAMS_PER_SECOND,
            ..Limits::default()
        },
        ..ControlConfig::default()
    }
}
