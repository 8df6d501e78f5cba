//! The lab: three places, a link and a censor between them.

use crate::{
    LabConfig, LabError, Layout, Place, check_privileges,
    namespace::NameFiles,
    network::{self, NetworkPlan},
    tun::{DEVICE_NAME, MTU, Tun},
    wire::Wire,
};

/// A running lab. Dropping it ends everything that runs in it; so does the end of this process, whatever ends it.
///
/// Any number of labs run beside each other: nothing of them has a name outside their namespaces.
#[derive(Debug)]
pub struct Lab {
    // Fields drop in this order: programs die while packets still flow, so that nobody waits for a dead network.
    client: Place,
    prober: Place,
    world: Place,
    wire: Wire,
    layout: Layout,
    notes: Vec<String>,
}

impl Lab {
    /// Makes the places and starts the packet loop between them. Blocks for some tens of milliseconds.
    ///
    /// # Errors
    /// [`LabError::Missing`] when the system does not allow it: call [`crate::ensure_privileges`] at the start of the
    /// program. The others when a part could not be made.
    pub fn start(config: LabConfig) -> Result<Self, LabError> {
        check_privileges()?;
        let layout = Layout::new(&config.geography)?;
        let mut notes = Vec::new();
        let mut make = |plan: NetworkPlan| {
            let (place, tun, said) = make_place(plan, &layout)?;
            notes.extend(said);
            Ok::<_, LabError>((place, tun))
        };
        let (client, client_tun) = make(client_plan(&layout, &config))?;
        let (world, world_tun) = make(world_plan(&layout, &config))?;
        let (prober, prober_tun) = make(prober_plan(&layout, &config))?;
        let wire = Wire::start([client_tun, world_tun, prober_tun], layout.clone())?;
        Ok(Self { client, prober, world, wire, layout, notes })
    }

    /// Where the censored user is.
    pub const fn client(&self) -> &Place {
        &self.client
    }

    /// Where everything else is: resolver, CDN, foreign hosting, domestic sites.
    pub const fn world(&self) -> &Place {
        &self.world
    }

    /// From where the censor probes; its packets reach the world without passing the censor.
    pub const fn prober(&self) -> &Place {
        &self.prober
    }

    /// Which address lies where.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the system did not allow although the lab can do without, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Stops the packet loop and ends everything that runs in the places.
    ///
    /// # Errors
    /// [`LabError::Loop`] when the packet loop had ended by itself.
    pub fn stop(self) -> Result<(), LabError> {
        let Self { client, prober, world, wire, .. } = self;
        drop((client, prober, world));
        wire.stop()
    }
}

fn make_place(plan: NetworkPlan, layout: &Layout) -> Result<(Place, Tun, Vec<String>), LabError> {
    let place = Place::make(plan.place, plan.address, name_files(layout))?;
    let (tun, notes) = place.run(|| {
        let tun = Tun::make(plan.place)?;
        let notes = network::configure(&plan)?;
        Ok::<_, LabError>((tun, notes))
    })??;
    Ok((place, tun, notes))
}

fn name_files(layout: &Layout) -> NameFiles {
    NameFiles {
        resolv_conf: format!("nameserver {}\noptions timeout:2 attempts:2\n", layout.resolver),
        hosts: "127.0.0.1 localhost\n::1 localhost\n".to_owned(),
        nsswitch_conf: "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nservices: files\n"
            .to_owned(),
    }
}

fn client_plan(layout: &Layout, config: &LabConfig) -> NetworkPlan {
    NetworkPlan {
        place: "client",
        device: DEVICE_NAME,
        mtu: MTU,
        address: layout.client,
        own: Vec::new(),
        reaches: Vec::new(),
        congestion: config.congestion.clone(),
        ipv6: layout.is_ipv6(),
    }
}

fn world_plan(layout: &Layout, config: &LabConfig) -> NetworkPlan {
    NetworkPlan {
        place: "world",
        address: layout.world,
        own: layout.world_nets.clone(),
        reaches: vec![layout.client_net, layout.prober_net],
        ..client_plan(layout, config)
    }
}

fn prober_plan(layout: &Layout, config: &LabConfig) -> NetworkPlan {
    NetworkPlan {
        place: "prober",
        address: layout.prober,
        own: vec![layout.prober_net],
        reaches: layout.world_nets.clone(),
        ..client_plan(layout, config)
    }
}
