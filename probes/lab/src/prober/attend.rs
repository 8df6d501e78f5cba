//! The prober at work in a lab: it takes calls while something else goes on, and tells the judge what it found.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread,
    time::Duration,
};

use commucat_battery::Limits;
use commucat_censor::ProbeRequest;
use commucat_transport_api::Net;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    examine::{Examination, Examiner, LAB_LIMITS},
    source::SourceNet,
};
use crate::{Lab, LabError, PlaceRuntime};

/// Calls that are worked on at one time; the others wait in the lab's queue.
const CALLS_AT_ONCE: usize = 4;
/// Answers on their way to the judge.
const ANSWERS_WAITING_MAX: usize = 64;

/// How the prober of a lab works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProberConfig {
    /// How many addresses it probes from.
    pub addresses: u8,
    /// How long it waits after a call. The earliest probes that were seen came 0.28 s after the packet that caused them.
    pub start_after: Duration,
    /// How long and how often.
    pub limits: Limits,
    /// Names of sites and where they really are, to compare with.
    pub sites: Vec<(String, SocketAddr)>,
    /// What its random bytes are drawn from.
    pub seed: u64,
}

impl Default for ProberConfig {
    fn default() -> Self {
        Self {
            addresses: 6,
            start_after: Duration::from_millis(300),
            limits: LAB_LIMITS,
            sites: Vec::new(),
            seed: 0,
        }
    }
}

/// The examinations so far, for whoever works beside the prober.
#[derive(Clone, Debug, Default)]
pub struct Examinations {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    done: Vec<Examination>,
}

/// Examinations that are kept; of more, only the number is.
const KEPT_MAX: usize = 1024;

impl Examinations {
    /// How many calls came, and how many of them are answered.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.calls, state.done.len())
    }

    /// What was found.
    pub fn done(&self) -> Vec<Examination> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).done.clone()
    }

    fn called(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls += 1;
    }

    fn answered(&self, examination: Examination) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.done.len() < KEPT_MAX {
            state.done.push(examination);
        }
    }
}

/// Does some work in a lab while its prober answers the judge's calls. When the work is done, so is the prober. In a
/// lab whose calls somebody else takes, the work is done without.
///
/// # Errors
/// [`LabError`] when nothing can run in the prober's place.
pub fn attended<T>(
    lab: &Lab,
    config: &ProberConfig,
    work: impl FnOnce(&Examinations) -> T,
) -> Result<T, LabError> {
    let examinations = Examinations::default();
    let Some(mut requests) = lab.probe_requests() else { return Ok(work(&examinations)) };
    let runtime = lab.prober().runtime()?;
    let examiner = examiner(lab, config);
    let (answer, answers) = std_mpsc::sync_channel::<Examination>(ANSWERS_WAITING_MAX);
    let (seen, start_after) = (examinations.clone(), config.start_after);
    let task = runtime.spawn(async move {
        let slots = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let mut running = JoinSet::new();
        while let Some(request) = requests.recv().await {
            seen.called();
            let (examiner, answer, slots) = (examiner.clone(), answer.clone(), Arc::clone(&slots));
            running.spawn(async move {
                tokio::time::sleep(start_after).await;
                let Ok(_slot) = slots.acquire().await else { return };
                let examination = Box::pin(examiner.examine(&request)).await;
                log(&request, &examination);
                // Full only when the judge has stopped taking answers: then nobody waits for this one.
                let _nobody_waits = answer.try_send(examination);
            });
            while running.try_join_next().is_some() {}
        }
    });
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            for examination in answers {
                if lab.answer_probe(examination.outcome()).is_err() {
                    return;
                }
                examinations.answered(examination);
            }
        });
        let result = work(&examinations);
        task.abort();
        // Dropping the runtime drops the tasks, the tasks drop the sender, and that ends the thread above.
        drop::<PlaceRuntime>(runtime);
        result
    });
    Ok(result)
}

fn examiner(lab: &Lab, config: &ProberConfig) -> Examiner {
    let first = lab.layout().prober;
    let nets = (0..config.addresses.max(1)).filter_map(|step| {
        let address = step_from(first, step)?;
        lab.layout().prober_net.contains(address).then(|| SourceNet::new(address) as Arc<dyn Net>)
    });
    let mut nets = nets.collect::<Vec<_>>().into_iter();
    let net = nets.next().unwrap_or_else(|| SourceNet::new(first));
    Examiner::new(&net, nets, config.limits, config.sites.iter().cloned(), config.seed)
}

fn step_from(first: IpAddr, step: u8) -> Option<IpAddr> {
    Some(match first {
        IpAddr::V4(first) => IpAddr::V4(first.to_bits().checked_add(step.into())?.into()),
        IpAddr::V6(first) => IpAddr::V6(first.to_bits().checked_add(step.into())?.into()),
    })
}

fn log(request: &ProbeRequest, examination: &Examination) {
    tracing::debug!(
        id = request.id,
        kind = request.kind.name(),
        finding = examination.finding.name(),
        took_ms = examination.took_ms,
        "a server was examined"
    );
}
