//! Questions to the network's resolver, to others, and to hosts that answer none. The socket stays open after the
//! first answer: a forged one races the true one, and two answers show the race.

mod resolvers;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use commucat_dissect::dns;
use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::observations::{Lookup, LookupAnswer, NameClass, Observations, ResolverKind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{MethodError, Outcome};
use crate::{
    progress::Event,
    safety::Risk,
    trial::{Bench, micros, signal_of, unspecified},
};

/// Most names of one kind that are asked for.
const NAMES_MAX: usize = 2;
/// Most resolvers of one kind that are asked.
const RESOLVERS_MAX: usize = 2;
/// Questions before silence of a resolver counts: datagrams get lost.
const ASKS: usize = 4;
/// Questions to a host that is no resolver: its silence is what is expected.
const ASKS_NO_RESOLVER: usize = 2;
/// Most answers kept for one question.
const ANSWERS_MAX: usize = 16;
/// Largest answer over UDP.
const ANSWER_BYTES_MAX: usize = 4096;
/// Record types (RFC 1035 §3.2.2, RFC 3596 §2.1).
const A: u16 = 1;
const AAAA: u16 = 28;

#[derive(Clone, Debug)]
struct Plan {
    resolver: ResolverKind,
    address: SocketAddr,
    tcp: bool,
    name: String,
    class: NameClass,
    record: u16,
    asks: usize,
}

/// Asks everything at the same time; the answers do not disturb each other.
pub(crate) async fn run(bench: &Arc<Bench>, until: Instant) -> Result<Outcome, MethodError> {
    let mut outcome = Outcome::default();
    let system = bench.targets.dns.system.or_else(resolvers::system);
    let plans = plans(bench, system, &mut outcome.left_out);
    if plans.is_empty() {
        return Err(MethodError::Lacks {
            what: "a resolver: /etc/resolv.conf names none; set [dns] system, control or no_resolver",
        });
    }
    let mut asking = JoinSet::new();
    for plan in plans {
        let bench = Arc::clone(bench);
        asking.spawn(async move { ask_until_answered(&bench, &plan).await });
    }
    let mut lookups: Vec<Lookup> = Vec::new();
    loop {
        match timeout_at(until, asking.join_next()).await {
            Ok(Some(done)) => lookups.extend(done.unwrap_or_default()),
            Ok(None) => break,
            Err(_elapsed) => {
                outcome.cut = true;
                break;
            }
        }
    }
    lookups.sort_by_key(|lookup| lookup.number);
    outcome.observations = Observations { lookups, ..Observations::default() };
    Ok(outcome)
}

fn plans(bench: &Bench, system: Option<SocketAddr>, left_out: &mut Vec<String>) -> Vec<Plan> {
    let targets = &bench.targets;
    let mut names: Vec<(NameClass, &String)> =
        targets.names.innocent.iter().take(NAMES_MAX).map(|name| (NameClass::Innocent, name)).collect();
    match targets.consent.check(Risk::Medium, "asking for names believed blocked") {
        Ok(()) => {
            names.extend(targets.names.blocked.iter().take(NAMES_MAX).map(|name| (NameClass::Blocked, name)))
        }
        Err(missing) if !targets.names.blocked.is_empty() => left_out.push(missing.to_string()),
        Err(_nothing_to_ask) => {}
    }
    let control = targets.dns.control.iter().take(RESOLVERS_MAX).map(|at| (ResolverKind::Control, *at));
    let none = targets.dns.no_resolver.iter().take(RESOLVERS_MAX).map(|at| (ResolverKind::NoResolver, *at));
    let resolvers = system.map(|at| (ResolverKind::System, at)).into_iter().chain(control).chain(none);
    let mut plans = Vec::new();
    for (resolver, address) in resolvers {
        for (class, name) in &names {
            let plan = Plan {
                resolver,
                address,
                tcp: false,
                name: (*name).clone(),
                class: *class,
                record: A,
                asks: ASKS,
            };
            if resolver == ResolverKind::NoResolver {
                // Beside each other: each will most likely wait for nothing.
                plans.extend(vec![Plan { asks: 1, ..plan }; ASKS_NO_RESOLVER]);
                continue;
            }
            plans.push(Plan { record: AAAA, ..plan.clone() });
            plans.push(Plan { tcp: true, asks: 1, ..plan.clone() });
            plans.push(plan);
        }
    }
    plans
}

async fn ask_until_answered(bench: &Bench, plan: &Plan) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    for _ask in 0..plan.asks {
        let lookup = if plan.tcp { ask_tcp(bench, plan).await } else { ask_udp(bench, plan).await };
        bench.progress.event(&Event::Lookup(&lookup));
        let answered = !lookup.answers.is_empty();
        lookups.push(lookup);
        if answered {
            break;
        }
    }
    lookups
}

fn begin(bench: &Bench, plan: &Plan) -> Lookup {
    Lookup {
        number: bench.next_number(),
        at_us: bench.at_us(),
        window_us: 0,
        resolver: plan.resolver,
        address: plan.address,
        tcp: plan.tcp,
        name: plan.name.clone(),
        class: plan.class,
        record: if plan.record == AAAA { "AAAA" } else { "A" }.to_owned(),
        answers: Vec::new(),
        failure: None,
    }
}

async fn ask_udp(bench: &Bench, plan: &Plan) -> Lookup {
    let mut lookup = begin(bench, plan);
    let began = Instant::now();
    let id = bench.rng().u16(..);
    let sent = async {
        let socket = UdpSocket::bind(unspecified(plan.address.ip())).await?;
        socket.connect(plan.address).await?;
        let query = dns::query(id, &plan.name, plan.record)
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        socket.send(&query).await?;
        Ok::<_, std::io::Error>(socket)
    };
    let socket = match sent.await {
        Ok(socket) => socket,
        Err(error) => {
            lookup.failure = Some(Failure::new(Phase::Connect, signal_of(&error), began.elapsed()));
            return lookup;
        }
    };
    let mut signal = Signal::Timeout;
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    let mut until = began + bench.timeout();
    while lookup.answers.len() < ANSWERS_MAX {
        match timeout_at(until, socket.recv(&mut buffer)).await {
            Err(_elapsed) => break,
            Ok(Err(error)) => {
                signal = signal_of(&error);
                // A refusal of a port may come before a forged answer; keep listening.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(Ok(len)) => {
                let answer = read(buffer.get(..len).unwrap_or_default(), id, began.elapsed());
                if lookup.answers.is_empty() && answer.is_some() {
                    until = (began + bench.targets.timing.dns_window()).max(Instant::now());
                }
                lookup.answers.extend(answer);
            }
        }
    }
    lookup.window_us = micros(began.elapsed());
    if lookup.answers.is_empty() {
        lookup.failure = Some(Failure::new(Phase::Resolve, signal, began.elapsed()));
    }
    lookup
}

async fn ask_tcp(bench: &Bench, plan: &Plan) -> Lookup {
    let mut lookup = begin(bench, plan);
    let began = Instant::now();
    let id = bench.rng().u16(..);
    let asking = async {
        let mut stream = TcpStream::connect(plan.address).await?;
        let query = dns::query(id, &plan.name, plan.record)
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        let mut framed = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        framed.extend(query);
        stream.write_all(&framed).await?;
        let mut len = [0; 2];
        stream.read_exact(&mut len).await?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(bench.timeout() * 2, asking).await {
        Ok(Ok(answer)) => lookup.answers.extend(read(&answer, id, began.elapsed())),
        Ok(Err(error)) => {
            lookup.failure = Some(Failure::new(Phase::Resolve, signal_of(&error), began.elapsed()));
        }
        Err(_elapsed) => {
            lookup.failure = Some(Failure::new(Phase::Resolve, Signal::Timeout, began.elapsed()));
        }
    }
    lookup.window_us = micros(began.elapsed());
    lookup
}

fn read(message: &[u8], id: u16, after: Duration) -> Option<LookupAnswer> {
    let message = dns::parse(message)?;
    if message.id != id || !message.response {
        return None;
    }
    let addresses: Vec<IpAddr> = message.addresses().collect();
    Some(LookupAnswer {
        after_us: micros(after),
        rcode: u16::from(message.code),
        authoritative: message.authoritative,
        bogon: addresses.iter().copied().any(resolvers::is_bogon),
        ttl_s: message.answers.iter().map(|answer| answer.ttl).min(),
        addresses,
    })
}
