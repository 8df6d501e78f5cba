//! A server is told from itself by nothing, and from another one by what both do.

use commucat_battery::{Aspect, BatteryError, Class, End, Limits, Probe, Runner, compare, payloads};
use commucat_net::SystemNet;

use crate::support::{certificate, echo, nginx, openssl, quick, survey};

#[tokio::test]
async fn nginx_is_like_itself_with_and_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    for certificates in [None, Some(dir.path())] {
        let (one, other) = (nginx(certificates).await, nginx(certificates).await);
        let (left, right) = tokio::join!(survey(one.at, None), survey(other.at, None));
        let found = compare(&left, &right);
        assert!(found.differences.is_empty(), "{:#?}", found.differences);
        assert!(found.compared >= 38, "{}", found.compared);
    }
}

#[tokio::test]
async fn openssl_is_like_itself() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let (one, other) = (openssl(dir.path()).await, openssl(dir.path()).await);
    // `s_server` serves one connection after the other.
    let limits = Limits { parallel: 1, rounds: 1, threshold_bytes: 0, ..quick() };
    let probes = payloads::methodika("site.example", &mut fastrand::Rng::with_seed(3)).unwrap();
    let runner = Runner::new(SystemNet::new(), limits);
    let (one, other) = (one.at.into(), other.at.into());
    let (left, right) = tokio::join!(runner.survey(&one, &probes, 1), runner.survey(&other, &probes, 1));
    let (left, right) = (left.unwrap(), right.unwrap());
    let found = compare(&left, &right);
    assert!(found.differences.is_empty(), "{:#?}", found.differences);
    let hello = &left.of("hello-invalid-sni").unwrap().rounds[0];
    let tls = hello.reply.as_ref().unwrap().tls.as_ref().unwrap();
    assert_eq!(tls.hello.as_ref().unwrap().version, 0x0304);
}

#[tokio::test]
async fn nginx_and_an_echo_differ_in_what_they_do() {
    let nginx = nginx(None).await;
    let (left, right) = tokio::join!(survey(nginx.at, None), async { survey(echo().await, None).await });
    let found = compare(&left, &right);
    let of = |probe: &str| -> Vec<Aspect> {
        found.differences.iter().filter(|one| one.probe == probe).map(|one| one.aspect).collect()
    };
    assert!(of("get").contains(&Aspect::Protocol), "{:#?}", found.differences);
    assert!(of("random-512").contains(&Aspect::End) || of("random-512").contains(&Aspect::Protocol));
    assert_eq!(of("empty"), [], "neither says anything first");
    assert!(
        of("thresholds").contains(&Aspect::CloseThreshold),
        "{:?} {:?}",
        left.thresholds,
        right.thresholds
    );
    let get = &left.of("get").unwrap().rounds[0];
    assert_eq!(get.reply.as_ref().unwrap().http.as_ref().unwrap().status, 200);
    let line = found.differences.iter().find(|one| one.probe == "get").unwrap().to_string();
    assert!(line.contains("HTTP 200 against bytes 474554"), "{line}");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_an_error_and_an_answer() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().into();
    let runner = Runner::new(SystemNet::new(), quick());
    let error = runner.survey(&gone, &[], 1).await.unwrap_err();
    assert!(matches!(error, BatteryError::Unreachable(_)), "{error}");
    let empty = Probe::steps("empty", commucat_battery::Family::Methodika, Vec::new());
    let answer = runner.probe(&gone, &empty).await;
    assert_eq!(answer.class(), Class::NoConnection);
    assert!(matches!(answer.end, End::NoConnection { .. }));
}
