//! The cases, each on a fresh database.

use commucat_storage::{
    EndpointCheck, Entity, MAX_AUDIT_PAGE, MAX_FAILURE_BYTES, MAX_META_VALUE_BYTES, MAX_NOTE_BYTES, Stamp,
    Storage, StorageError,
};
use commucat_transport_api::{BoxFuture, Secret, User, UserId};

pub(crate) type Case = fn(Storage) -> BoxFuture<'static, ()>;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("users_round_trip", |s| Box::pin(users_round_trip(s))),
    ("users_sort_by_bytes", |s| Box::pin(users_sort_by_bytes(s))),
    ("user_errors", |s| Box::pin(user_errors(s))),
    ("failed_changes_leave_no_entry", |s| Box::pin(failed_changes_leave_no_entry(s))),
    ("audit_pages", |s| Box::pin(audit_pages(s))),
    ("meta_values", |s| Box::pin(meta_values(s))),
    ("endpoint_checks", |s| Box::pin(endpoint_checks(s))),
    ("texts_are_checked_alike", |s| Box::pin(texts_are_checked_alike(s))),
    ("secrets_do_not_print", |s| Box::pin(secrets_do_not_print(s))),
    ("a_closed_handle_says_so", |s| Box::pin(a_closed_handle_says_so(s))),
];

pub(crate) const fn by(at_ms: i64) -> Stamp<'static> {
    Stamp { actor: "test", at_ms }
}

pub(crate) fn user(name: &str, byte: u8) -> User {
    User { id: name.parse().unwrap(), secret: Secret::new([byte; 32]) }
}

fn id(name: &str) -> UserId {
    name.parse().unwrap()
}

async fn users_round_trip(storage: Storage) {
    storage.ping().await.unwrap();
    assert!(storage.users().await.unwrap().is_empty());
    storage.add_user(&user("alice", 1), "a ноте", by(10)).await.unwrap();
    storage.add_user(&user("bob", 2), "", by(i64::MAX)).await.unwrap();

    let alice = storage.user(&id("alice")).await.unwrap();
    assert_eq!((alice.user.id.as_str(), alice.created_at_ms, alice.disabled), ("alice", 10, false));
    assert_eq!((alice.note.as_str(), alice.user.secret.expose()), ("a ноте", &[1; 32]));
    assert_eq!(storage.user(&id("bob")).await.unwrap().created_at_ms, i64::MAX);

    storage.set_user_disabled(&id("alice"), true, by(20)).await.unwrap();
    storage.set_user_disabled(&id("alice"), true, by(21)).await.unwrap();
    assert!(storage.user(&id("alice")).await.unwrap().disabled);
    assert!(!storage.user(&id("bob")).await.unwrap().disabled, "only the one");
    storage.set_user_disabled(&id("alice"), false, by(22)).await.unwrap();

    storage.rotate_user(&id("alice"), &Secret::new([9; 32]), by(30)).await.unwrap();
    let alice = storage.user(&id("alice")).await.unwrap();
    assert_eq!(alice.user.secret.expose(), &[9; 32]);
    assert_eq!((alice.created_at_ms, alice.disabled), (10, false), "nothing else moved");

    storage.remove_user(&id("alice"), by(40)).await.unwrap();
    assert_eq!(storage.users().await.unwrap().len(), 1);
    // A name may come back; the journal knows both lives.
    storage.add_user(&user("alice", 3), "", by(50)).await.unwrap();

    let actions: Vec<String> = storage
        .audit(None, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|e| format!("{} {}", e.action, e.subject))
        .collect();
    let expected = [
        "user.add alice",
        "user.remove alice",
        "user.rotate alice",
        "user.enable alice",
        "user.disable alice",
        "user.disable alice",
        "user.add bob",
        "user.add alice",
    ];
    assert_eq!(actions, expected);
}

async fn users_sort_by_bytes(storage: Storage) {
    for name in ["b", "B", "a", "a-1", "a.1", "_x", "9"] {
        storage.add_user(&user(name, 0), "", by(1)).await.unwrap();
    }
    let names: Vec<String> = storage.users().await.unwrap().iter().map(|u| u.user.id.to_string()).collect();
    assert_eq!(names, ["9", "B", "_x", "a", "a-1", "a.1", "b"]);
    assert!(
        matches!(storage.user(&id("A")).await, Err(StorageError::NotFound(Entity::User))),
        "names have case"
    );
}

async fn user_errors(storage: Storage) {
    let ghost = id("ghost");
    let missing = |result| matches!(result, Err(StorageError::NotFound(Entity::User)));
    assert!(missing(storage.user(&ghost).await.map(drop)));
    assert!(missing(storage.set_user_disabled(&ghost, true, by(1)).await));
    assert!(missing(storage.rotate_user(&ghost, &Secret::new([1; 32]), by(1)).await));
    assert!(missing(storage.remove_user(&ghost, by(1)).await));
    storage.add_user(&user("alice", 1), "first", by(1)).await.unwrap();
    let again = storage.add_user(&user("alice", 2), "second", by(2)).await;
    assert!(matches!(again, Err(StorageError::AlreadyExists(Entity::User))), "{again:?}");
    assert_eq!(storage.user(&id("alice")).await.unwrap().note, "first");
}

async fn failed_changes_leave_no_entry(storage: Storage) {
    storage.add_user(&user("alice", 1), "", by(1)).await.unwrap();
    storage.add_user(&user("alice", 1), "", by(2)).await.unwrap_err();
    storage.remove_user(&id("ghost"), by(3)).await.unwrap_err();
    assert_eq!(storage.audit(None, 10).await.unwrap().len(), 1);
}

async fn audit_pages(storage: Storage) {
    for at_ms in 0..7 {
        storage.append_audit("bridge.start", "", &format!("run {at_ms}"), by(at_ms)).await.unwrap();
    }
    let first = storage.audit(None, 3).await.unwrap();
    assert_eq!(first.iter().map(|e| e.at_ms).collect::<Vec<_>>(), [6, 5, 4], "newest first");
    assert_eq!((first[0].actor.as_str(), first[0].detail.as_str()), ("test", "run 6"));
    let second = storage.audit(Some(first[2].id), 100).await.unwrap();
    assert_eq!(second.iter().map(|e| e.at_ms).collect::<Vec<_>>(), [3, 2, 1, 0]);
    assert!(storage.audit(None, 0).await.unwrap().is_empty());
    assert_eq!(storage.audit(None, u32::MAX).await.unwrap().len(), 7);
    const { assert!(MAX_AUDIT_PAGE <= 1000) };
    let nobody = Stamp { actor: "", at_ms: 1 };
    assert!(matches!(storage.append_audit("x", "", "", nobody).await, Err(StorageError::Invalid { .. })));
}

async fn meta_values(storage: Storage) {
    assert!(storage.meta("identity").await.unwrap().is_none());
    storage.set_meta("identity", &[0, 255, 1], 1).await.unwrap();
    assert_eq!(storage.meta("identity").await.unwrap().unwrap().expose(), &[0, 255, 1]);
    storage.set_meta("identity", b"", 2).await.unwrap();
    assert!(storage.meta("identity").await.unwrap().unwrap().expose().is_empty(), "empty is not absent");
    assert!(storage.init_meta("identity", b"other", 3).await.unwrap().expose().is_empty(), "the first stays");
    assert_eq!(storage.init_meta("fresh", b"mine", 3).await.unwrap().expose(), b"mine");
    let most = vec![7; MAX_META_VALUE_BYTES];
    storage.set_meta("big", &most, 4).await.unwrap();
    assert_eq!(storage.meta("big").await.unwrap().unwrap().expose(), &most);
    let more = vec![7; MAX_META_VALUE_BYTES + 1];
    assert!(matches!(
        storage.set_meta("big", &more, 5).await,
        Err(StorageError::Invalid { field: "value", .. })
    ));
    assert!(matches!(storage.set_meta("", b"x", 5).await, Err(StorageError::Invalid { field: "key", .. })));
    storage.remove_meta("big").await.unwrap();
    assert!(matches!(storage.remove_meta("big").await, Err(StorageError::NotFound(Entity::MetaKey))));
}

async fn endpoint_checks(storage: Storage) {
    let good = |name: &str, at| EndpointCheck {
        endpoint: name.to_owned(),
        checked_at_ms: at,
        ok: true,
        rtt_ms: Some(12),
        failure: None,
    };
    storage.put_endpoint_check(&good("websocket", 10)).await.unwrap();
    storage.put_endpoint_check(&good("shadowsocks", 10)).await.unwrap();
    let bad = EndpointCheck {
        ok: false,
        rtt_ms: None,
        failure: Some("ü\0".repeat(MAX_FAILURE_BYTES)),
        ..good("websocket", 20)
    };
    storage.put_endpoint_check(&bad).await.unwrap();
    // A result that comes late does not hide a newer one.
    storage.put_endpoint_check(&good("websocket", 15)).await.unwrap();

    let checks = storage.endpoint_checks().await.unwrap();
    assert_eq!(checks.iter().map(|c| c.endpoint.as_str()).collect::<Vec<_>>(), ["shadowsocks", "websocket"]);
    assert_eq!(checks[0], good("shadowsocks", 10));
    assert_eq!((checks[1].checked_at_ms, checks[1].ok, checks[1].rtt_ms), (20, false, None));
    let failure = checks[1].failure.as_deref().unwrap();
    assert!(failure.len() <= MAX_FAILURE_BYTES && failure.starts_with("ü ü "), "{failure}");

    storage.remove_endpoint_check("websocket").await.unwrap();
    let again = storage.remove_endpoint_check("websocket").await;
    assert!(matches!(again, Err(StorageError::NotFound(Entity::EndpointCheck))));
    let nameless = storage.put_endpoint_check(&good("", 1)).await;
    assert!(matches!(nameless, Err(StorageError::Invalid { field: "endpoint", .. })));
}

async fn texts_are_checked_alike(storage: Storage) {
    let long = "n".repeat(MAX_NOTE_BYTES + 1);
    for note in [long.as_str(), "nul\0"] {
        let refused = storage.add_user(&user("alice", 1), note, by(1)).await;
        assert!(matches!(refused, Err(StorageError::Invalid { field: "note", .. })), "{refused:?}");
    }
    let quoted = "'; DROP TABLE users; -- \" \\ \u{1F408}";
    storage.add_user(&user("alice", 1), quoted, by(-1)).await.unwrap();
    let alice = storage.user(&id("alice")).await.unwrap();
    assert_eq!((alice.note.as_str(), alice.created_at_ms), (quoted, -1));
}

async fn secrets_do_not_print(storage: Storage) {
    storage.add_user(&user("alice", 0xab), "", by(1)).await.unwrap();
    storage.set_meta("identity", &[0xab; 8], 1).await.unwrap();
    let shown = format!(
        "{:?} {:?} {:?}",
        storage,
        storage.users().await.unwrap(),
        storage.meta("identity").await.unwrap()
    );
    assert!(!shown.contains("171"), "{shown}");
    assert!(shown.contains("[secret]"));
}

async fn a_closed_handle_says_so(storage: Storage) {
    storage.close().await;
    assert!(matches!(storage.ping().await, Err(StorageError::Backend(_))));
    assert!(storage.add_user(&user("alice", 1), "", by(1)).await.is_err());
}
