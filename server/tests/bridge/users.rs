//! Users come and go while the bridge runs.

use commucat_server::Users;
use commucat_storage::{Dsn, Storage};
use commucat_transport_api::Target;

use crate::support::{BASIC, World, echo, ended_with_reset, is_alive};

#[tokio::test]
async fn a_removed_user_is_cut_at_once_and_others_are_not() {
    let world = World::start(BASIC).await;
    let bob = world.users.add("bob", "").await.unwrap();
    world.bridge.refresh_users().await.unwrap();
    let target = echo().await;
    let mut anns = world.stream(target).await;
    let mut bobs = world.dial(&bob, Target::Stream(target.into())).await.unwrap().into_stream().unwrap();
    assert!(is_alive(&mut anns).await && is_alive(&mut bobs).await);

    world.users.remove("ann").await.unwrap();
    world.bridge.refresh_users().await.unwrap();
    assert!(ended_with_reset(&mut anns).await, "a cut transfer must not look finished");
    assert!(is_alive(&mut bobs).await);
    assert!(world.dial(&world.ann, Target::Bridge).await.is_err());
}

#[tokio::test]
async fn what_another_process_does_is_noticed() {
    let world = World::start(BASIC).await;
    let target = echo().await;
    let mut stream = world.stream(target).await;
    // Another handle on the same file, as `commucat user …` has.
    let storage = Storage::open(&Dsn::sqlite(world.dir.path().join("x.db"))).await.unwrap();
    let elsewhere = Users::new(storage, "cli:test");

    elsewhere.disable("ann").await.unwrap();
    assert!(ended_with_reset(&mut stream).await);
    assert!(world.dial(&world.ann, Target::Bridge).await.is_err());

    elsewhere.enable("ann").await.unwrap();
    elsewhere.add("bob", "").await.unwrap();
    world.await_metric("commucat_users", 2.0).await;
    assert!(is_alive(&mut world.stream(target).await).await);
}

#[tokio::test]
async fn new_keys_end_what_the_old_ones_opened() {
    let world = World::start(BASIC).await;
    let mut stream = world.stream(echo().await).await;
    world.users.rotate("ann").await.unwrap();
    world.bridge.refresh_users().await.unwrap();
    assert!(ended_with_reset(&mut stream).await);
    assert!(world.dial(&world.ann, Target::Bridge).await.is_err(), "the old link is dead");
    let ann = world.users.get("ann").await.unwrap().user;
    assert!(world.dial(&ann, Target::Bridge).await.is_ok());
}

#[tokio::test]
async fn a_link_has_every_endpoint() {
    let world = World::start(&format!(
        "{BASIC}[[endpoints]]\ntransport = \"plain\"\nlisten = \"127.0.0.1:0\"\npublic = \"cdn.test:443\"\n"
    ))
    .await;
    let link = world.bridge.client_link(&world.ann, None).unwrap();
    assert!(link.assist);
    let at: Vec<_> = link.endpoints.iter().map(|spec| spec.endpoint.to_string()).collect();
    assert_eq!(at, [world.endpoint(0).to_string(), "cdn.test:443".to_owned()]);
    let other = commucat_transport_api::Host::parse("bridge.test").unwrap();
    let link = world.bridge.client_link(&world.ann, Some(&other)).unwrap();
    assert_eq!(link.endpoints[0].endpoint.host, other);
}
