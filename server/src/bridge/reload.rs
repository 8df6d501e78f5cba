//! A new configuration for a running bridge: what did not change goes on, what did is replaced, and when the new one
//! does not start the old one comes back.

use std::sync::{Arc, atomic::Ordering};

use super::{Shared, Slot};
use crate::{
    assist,
    config::{BridgeConfig, EndpointConfig},
    endpoint::{Endpoint, Fingerprint},
    error::StartError,
};

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Endpoints that went on without a break.
    pub kept: usize,
    /// Endpoints that were started.
    pub started: usize,
    /// Endpoints that are no more.
    pub stopped: usize,
    /// Keys whose new value needs a restart of the program.
    pub needs_restart: Vec<&'static str>,
}

impl Shared {
    /// Starts every endpoint of the configuration; when one fails, none stays.
    pub(super) async fn start_all(&self) -> Result<Vec<Slot>, StartError> {
        let mut slots = Vec::new();
        for (at, config) in self.config.load().resolved_endpoints(&self.bundle).iter().enumerate() {
            match self.start_slot(at, config).await {
                Ok(slot) => slots.push(slot),
                Err(error) => {
                    stop(&slots).await;
                    return Err(error);
                }
            }
        }
        Ok(slots)
    }

    async fn start_slot(&self, at: usize, config: &EndpointConfig) -> Result<Slot, StartError> {
        let stats = |label: &str| self.metrics.endpoint(label, config.spec.transport.as_str());
        let endpoint = Endpoint::start(at, config.clone(), &self.bundle, &self.sessions, stats).await?;
        Ok(Slot { public: config.public.clone(), endpoint: Arc::new(endpoint) })
    }

    pub(super) async fn reload(&self, config: BridgeConfig) -> Result<Reloaded, StartError> {
        let _one_at_a_time = self.reloading.lock().await;
        if !self.accepting.load(Ordering::Acquire) {
            return Err(StartError::Stopping);
        }
        config.check(&self.bundle).map_err(StartError::Config)?;
        self.watch.refresh().await?;
        let old = std::mem::take(&mut *self.slots());
        let wanted = config.resolved_endpoints(&self.bundle);
        let (kept, gone) = sort(old, &wanted);
        stop(&gone).await;
        let result = self.fill(kept, &wanted).await;
        let (slots, started, failed) = match result {
            Ok((slots, started)) => (slots, started, None),
            Err((kept, error)) => (self.bring_back(kept, &gone).await, 0, Some(error)),
        };
        let total = slots.len();
        *self.slots() = slots;
        assist::set_targets(self);
        if let Some(error) = failed {
            return Err(error);
        }
        let needs_restart = needs_restart(&self.config.load(), &config);
        self.sessions.reload(&config);
        self.token.store(Arc::new(config.admin.token.clone()));
        self.config.store(Arc::new(config));
        assist::set_targets(self);
        let reloaded = Reloaded { kept: total - started, started, stopped: gone.len(), needs_restart };
        tracing::info!(kept = reloaded.kept, started, stopped = reloaded.stopped, "configuration reloaded");
        Ok(reloaded)
    }

    /// Puts each endpoint into its place, starting those that are not there.
    async fn fill(
        &self,
        mut kept: Vec<Slot>,
        wanted: &[EndpointConfig],
    ) -> Result<(Vec<Slot>, usize), (Vec<Slot>, StartError)> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut fresh: Vec<Slot> = Vec::new();
        for (at, config) in wanted.iter().enumerate() {
            let fingerprint = Fingerprint::of(&config.spec);
            let running = kept.iter().position(|slot| slot.endpoint.fingerprint == fingerprint);
            if let Some(running) = running {
                let slot = kept.swap_remove(running);
                slots.push(Slot { public: config.public.clone(), endpoint: slot.endpoint });
                continue;
            }
            match self.start_slot(at, config).await {
                Ok(slot) => {
                    fresh.push(slot.clone());
                    slots.push(slot);
                }
                Err(error) => {
                    stop(&fresh).await;
                    let is_fresh =
                        |slot: &Slot| fresh.iter().any(|new| Arc::ptr_eq(&new.endpoint, &slot.endpoint));
                    slots.retain(|slot| !is_fresh(slot));
                    slots.extend(kept);
                    return Err((slots, error));
                }
            }
        }
        Ok((slots, fresh.len()))
    }

    async fn bring_back(&self, mut slots: Vec<Slot>, gone: &[Slot]) -> Vec<Slot> {
        for slot in gone {
            let at = slots.len();
            match self.start_slot(at, &slot.endpoint.config).await {
                Ok(mut back) => {
                    back.public.clone_from(&slot.public);
                    slots.push(back);
                }
                Err(error) => {
                    let reason = crate::config::reasons(&error);
                    tracing::error!(reason, "an endpoint of the old configuration does not come back");
                }
            }
        }
        slots
    }
}

/// Parts what may go on from what must stop.
fn sort(old: Vec<Slot>, wanted: &[EndpointConfig]) -> (Vec<Slot>, Vec<Slot>) {
    let mut wanted: Vec<_> = wanted.iter().map(|config| Fingerprint::of(&config.spec)).collect();
    old.into_iter().partition(|slot| {
        let place = wanted.iter().position(|fingerprint| *fingerprint == slot.endpoint.fingerprint);
        match place {
            Some(place) if slot.endpoint.is_up() => {
                wanted.swap_remove(place);
                true
            }
            _ => false,
        }
    })
}

async fn stop(slots: &[Slot]) {
    for slot in slots {
        slot.endpoint.stop().await;
    }
}

fn needs_restart(old: &BridgeConfig, new: &BridgeConfig) -> Vec<&'static str> {
    let same_dsn = old.storage.dsn.as_ref().map(|dsn| dsn.expose().clone())
        == new.storage.dsn.as_ref().map(|dsn| dsn.expose().clone());
    let changed = [
        ("server.admin_bind", old.server.admin_bind != new.server.admin_bind),
        ("server.api_bind", old.server.api_bind != new.server.api_bind),
        ("storage.dsn", !same_dsn),
        ("assist", old.assist != new.assist),
        ("rate.http", old.rate.http != new.rate.http),
        ("rate.strangers", old.rate.strangers != new.rate.strangers),
        ("log", old.log != new.log),
    ];
    changed.into_iter().filter(|(_key, changed)| *changed).map(|(key, _changed)| key).collect()
}
