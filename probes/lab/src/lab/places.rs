//! Making and ending the places of a lab.

use std::thread;

use crate::{
    LabError, Layout, Place,
    namespace::NameFiles,
    network::{self, NetworkPlan},
    tun::{DEVICE_NAME, MTU, QUEUE_PACKETS, Tun},
};

/// The three places; they end side by side.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) client: Place,
    pub(super) world: Place,
    pub(super) prober: Place,
}

impl Drop for Places {
    fn drop(&mut self) {
        for place in [&mut self.client, &mut self.world, &mut self.prober] {
            place.begin_end();
        }
    }
}

/// A place as it was made.
pub(super) struct Made {
    pub(super) place: Place,
    pub(super) tun: Tun,
    pub(super) notes: Vec<String>,
}

/// Makes the places side by side: most of the time goes into waiting for the kernel.
pub(super) fn make(layout: &Layout, congestion: Option<&str>) -> Result<[Made; 3], LabError> {
    let client = client_plan(layout, congestion);
    let plans = [&client, &world_plan(layout, &client), &prober_plan(layout, &client)];
    thread::scope(|scope| {
        let [first, second, third] = plans.map(|plan| {
            let name = format!("lab-{}-start", plan.place);
            thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || make_place(plan, layout))
                .map_err(|source| LabError::Thread { name: plan.place, source })
        });
        let join = |making: Result<thread::ScopedJoinHandle<'_, Result<Made, LabError>>, LabError>| {
            making?.join().map_err(|_panic| LabError::Panicked("lab"))?
        };
        Ok([join(first)?, join(second)?, join(third)?])
    })
}

fn make_place(plan: &NetworkPlan, layout: &Layout) -> Result<Made, LabError> {
    let place = Place::make(plan.place, plan.address, name_files(layout))?;
    let (tun, notes) = place.run(|| {
        let tun = Tun::make(plan.place)?;
        let notes = network::configure(plan)?;
        Ok::<_, LabError>((tun, notes))
    })??;
    Ok(Made { place, tun, notes })
}

fn name_files(layout: &Layout) -> NameFiles {
    NameFiles {
        resolv_conf: format!("nameserver {}\noptions timeout:2 attempts:2\n", layout.resolver),
        hosts: "127.0.0.1 localhost\n::1 localhost\n".to_owned(),
        nsswitch_conf: "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nservices: files\n"
            .to_owned(),
    }
}

fn client_plan(layout: &Layout, congestion: Option<&str>) -> NetworkPlan {
    NetworkPlan {
        place: "client",
        device: DEVICE_NAME,
        mtu: MTU,
        queue: QUEUE_PACKETS,
        address: layout.client,
        own: Vec::new(),
        reaches: Vec::new(),
        congestion: congestion.map(str::to_owned),
        ipv6: layout.is_ipv6(),
    }
}

fn world_plan(layout: &Layout, client: &NetworkPlan) -> NetworkPlan {
    NetworkPlan {
        place: "world",
        address: layout.world,
        own: layout.world_nets.clone(),
        reaches: vec![layout.client_net, layout.prober_net],
        ..client.clone()
    }
}

fn prober_plan(layout: &Layout, client: &NetworkPlan) -> NetworkPlan {
    NetworkPlan {
        place: "prober",
        address: layout.prober,
        own: vec![layout.prober_net],
        reaches: layout.world_nets.clone(),
        ..client.clone()
    }
}
