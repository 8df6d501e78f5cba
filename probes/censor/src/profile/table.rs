//! The profiles that ship with the lab. Each says what it stands for, what it leaves out, and where its figures come
//! from; a figure from memory is marked so.

use super::{Mark, Profile, Source};
use crate::{
    link::LinkSpec,
    spec::{PolicySpec, SpecError},
};

/// A profile before it is put together.
struct Row {
    name: &'static str,
    about: &'static str,
    sources: &'static [(Mark, &'static str)],
    chain: fn() -> Vec<PolicySpec>,
    link: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        name: "clean",
        about: "No censor and no link: whatever fails here fails by itself.",
        sources: &[(Mark::Choice, "the control of every comparison")],
        chain: Vec::new,
        link: "link",
    },
    Row {
        name: "lossy-mobile",
        about: "No censor, but a bad mobile link: 80 ms ± 20 ms each way, 5 % loss each way, 10 Mbit/s. Nothing here may be \
                taken for interference.",
        sources: &[(Mark::Choice, "figures of a bad day on a mobile network, not of a measured one")],
        chain: Vec::new,
        link: "link?delay=80ms&jitter=20ms&loss=5%&rate=10mbit&queue=200ms",
    },
    Row {
        name: "satellite",
        about: "No censor, but a geostationary satellite: 300 ms each way, 20 Mbit/s down, 3 Mbit/s up, 0.5 % loss in bursts.",
        sources: &[
            (Mark::Choice, "rate, loss and jitter are guesses"),
            (Mark::Memory, "36,000 km up and down, with gateways: 270 to 320 ms each way"),
        ],
        chain: Vec::new,
        link: "link?delay=300ms&jitter=10ms&loss=0.5%&burst=4&down=20mbit&up=3mbit&queue=500ms",
    },
    Row {
        name: "cn-2023-fet",
        about: "China from November 2021 to March 2023: forged DNS answers, resets on names in a hello of one segment, and \
                a share of first payloads that look random dropped towards foreign hosting. The share is drawn for each \
                connection, so one try proves nothing.",
        sources: &[
            (Mark::Source, "Wu et al., USENIX Security 2023: the rule, from the authors' program"),
            (Mark::Extract, "the same: 26.3 %, 180 s, hosting ranges only"),
            (Mark::Extract, "Anonymous et al. 2020 and Hoang et al. 2021: the three injectors of DNS"),
        ],
        chain: || {
            vec![
                PolicySpec::new("dns-inject"),
                PolicySpec::new("sni-rst").preset("reassembly", "none"),
                PolicySpec::new("gfw-fet"),
            ]
        },
        link: "link",
    },
    Row {
        name: "cn-2025",
        about: "China in 2025: forged DNS answers, resets on names even when the hello is cut into records, QUIC hellos \
                decrypted, and servers that take random-looking traffic probed. Provincial boxes and the hour of 20 August \
                2025 are not in it (`sni-rst-henan`, `p443-rst`); HTTP is not judged.",
        sources: &[
            (Mark::Source, "Zohaib et al., USENIX Security 2025: QUIC, from the authors' data"),
            (
                Mark::Reported,
                "net4people/bbs 550: reassembly over records since December 2025, on some networks",
            ),
            (Mark::Extract, "Alice et al. 2020: what calls the prober"),
        ],
        chain: || {
            vec![
                PolicySpec::new("dns-inject"),
                PolicySpec::new("sni-rst").preset("reassembly", "tcp-tls"),
                PolicySpec::new("quic-sni-gfw"),
                PolicySpec::new("active-prober"),
            ]
        },
        link: "link",
    },
    Row {
        name: "ru-2025",
        about: "Russia, a fixed line in 2025: resets on names, QUIC v1 stopped, foreign hosting frozen after 25 packets, VPN \
                handshakes dropped. Providers differ; this is no single one of them.",
        sources: &[
            (Mark::Memory, "Xue et al., IMC 2022: residual of 75 s, QUIC by length; not read again"),
            (
                Mark::Source,
                "hyperion-cs/dpi-checkers: the freeze after about 25 packets, from the checker's program",
            ),
            (Mark::Reported, "net4people/bbs 490: the same from the field"),
        ],
        chain: || {
            vec![
                PolicySpec::new("sni-rst").preset("residual", "75s").preset("reassembly", "tcp"),
                PolicySpec::new("quic-len-tspu"),
                PolicySpec::new("tspu-l4-25"),
                PolicySpec::new("vpn-sig"),
            ]
        },
        link: "link",
    },
    Row {
        name: "ru-2026",
        about: "Russia in 2026: foreign hosting frozen after 25 packets, more than six handshakes of a browser to one network \
                and name stopped, stale fingerprints and ECH to the big front dropped, VPN handshakes dropped. The first \
                two pull in opposite directions. Name lists are not in it, so that these mechanisms stand alone.",
        sources: &[
            (
                Mark::Source,
                "hyperion-cs/dpi-checkers 53a8250: freeze and connection limit, from the checker's program",
            ),
            (Mark::Reported, "net4people/bbs 490, 546, 603, 662; XTLS/Xray-core 5332, 6181, 6293"),
            (Mark::Memory, "the window of 60 s of the connection limit: nobody measured it"),
        ],
        chain: || {
            let chain = ["tspu-l4-25", "tspu-conn", "tspu-ja4", "tspu-ech", "vpn-sig"];
            chain.into_iter().map(PolicySpec::new).collect()
        },
        link: "link",
    },
    Row {
        name: "ru-mobile-wl",
        about: "Russia, a mobile network while the lists of allowed addresses are on: connections open, but nothing that is \
                sent to an address off the list arrives.",
        sources: &[(Mark::Reported, "net4people/bbs 516, 579; carriers differ, some answer with resets")],
        chain: || vec![PolicySpec::new("ru-mobile-wl")],
        link: "link",
    },
    Row {
        name: "ir-2020",
        about: "Iran in 2020: false DNS answers from 10.10.34.0/24, resets on names that silence the connection, and only \
                DNS, HTTP and TLS on TCP ports 53, 80 and 443.",
        sources: &[
            (Mark::Extract, "Bock et al., FOCI 2020: the protocol filter"),
            (Mark::Extract, "Tai et al. 2025, Lange et al. 2025: DNS, HTTP and TLS"),
        ],
        chain: || {
            let chain = ["dns-replace-ir", "sni-drop-ir", "ir-protofilter"];
            chain.into_iter().map(PolicySpec::new).collect()
        },
        link: "link",
    },
    Row {
        name: "ir-2025-blackout",
        about: "Iran, June 2025: only names and web pages are forwarded abroad (UDP 53, TCP 80 and 443). Inside the country \
                everything passes.",
        sources: &[(Mark::Extract, "Aryapour 2025; net4people/bbs 489")],
        chain: || vec![PolicySpec::new("ir-blackout-2025")],
        link: "link",
    },
    Row {
        name: "ir-2026-wl",
        about: "Iran in 2026: whoever is not on the list of clients reaches only listed addresses, and listed names are \
                blocked for all. The client of the lab is not on the list.",
        sources: &[(Mark::Reported, "net4people/bbs 561, 630, read in extracts; networks differ")],
        chain: || vec![PolicySpec::new("ir-wl-2026")],
        link: "link",
    },
    Row {
        name: "tm",
        about: "Turkmenistan: false DNS answers, resets on names, and every address with moderate traffic banned, whatever it \
                speaks. The real bans come at 20 to 150 GB; here they come at 1 GB. Connections are not counted: the \
                reports speak of volume alone.",
        sources: &[
            (Mark::Extract, "Nourin et al. 2023: names and addresses"),
            (Mark::Reported, "net4people/bbs 523: bans by volume"),
        ],
        chain: || {
            vec![
                PolicySpec::new("dns-inject"),
                PolicySpec::new("sni-rst"),
                PolicySpec::new("volume-ban").preset("conns", "0"),
            ]
        },
        link: "link",
    },
];

pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    ROWS.iter().map(|row| row.name)
}

pub(super) fn named(name: &str) -> Result<Profile, SpecError> {
    let row = ROWS.iter().find(|row| row.name == name);
    row.ok_or_else(|| SpecError::unknown_profile(name, names())).and_then(made)
}

pub(super) fn all() -> Vec<Profile> {
    // A test makes every row, so none is left out.
    ROWS.iter().filter_map(|row| made(row).ok()).collect()
}

fn made(row: &Row) -> Result<Profile, SpecError> {
    let link = LinkSpec::parse(row.link)?;
    let mut profile = Profile::assembled(row.name, row.about.to_owned(), link, (row.chain)());
    profile.sources =
        row.sources.iter().map(|(mark, text)| Source { mark: *mark, text: (*text).to_owned() }).collect();
    Ok(profile)
}
