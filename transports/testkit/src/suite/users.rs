//! Who is let in, and as whom.

use std::sync::Arc;

use commucat_transport_api::{BoxStream, Client, Cx, DialError, User, UserTable};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    CheckError, Fixture, Outcome,
    fixture::user,
    report::ensure,
    services::Service,
    session::{ALICE, BOB, Session, dial_stream},
    streams::exchange,
};

pub(super) async fn wrong_secret(fixture: &Fixture) -> Result<Outcome, CheckError> {
    if let Err(reason) = fixture.users {
        return Ok(Outcome::Skipped(reason));
    }
    let session = Session::start(fixture).await?;
    for (name, secret_of) in [(ALICE, "somebody-else"), ("mallory", "nobody")] {
        let forged = User { id: name.parse()?, secret: user(secret_of)?.secret };
        // The same server keys with another table: what the forger knows is all but the secret.
        let table = Arc::new(UserTable::new(vec![forged.clone()]));
        let server = fixture.transport.server(&fixture.server_spec, &table)?;
        let spec = server.client_spec(&session.public(), &forged)?;
        let client = fixture.transport.client(&spec)?;
        refused(&session, client.as_ref(), "a client with a wrong secret").await?;
    }
    ensure(session.bridge.log.look().accepted.is_empty(), || "a wrong secret was given a channel".into())?;
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn two_users(fixture: &Fixture) -> Result<Outcome, CheckError> {
    if let Err(reason) = fixture.users {
        return Ok(Outcome::Skipped(reason));
    }
    let session = Session::start(fixture).await?;
    for (number, name) in [ALICE, BOB, ALICE].into_iter().enumerate() {
        let client = session.client_of(&user(name)?)?;
        let mut stream = session.dial_by(client.as_ref(), &fixture.client_net, Service::Echo).await?;
        echo(fixture, &mut stream).await?;
        let seen = session.bridge.log.look().accepted.get(number).cloned();
        let seen = seen
            .and_then(|seen| seen.user)
            .ok_or_else(|| CheckError::broken("the bridge accepted a channel without a user"))?;
        ensure(seen.as_str() == name, || "the bridge took one user for another".into())?;
    }
    session.finish().await?;
    Ok(Outcome::Passed)
}

pub(super) async fn user_removed(fixture: &Fixture) -> Result<Outcome, CheckError> {
    if let Err(reason) = fixture.users {
        return Ok(Outcome::Skipped(reason));
    }
    let session = Session::start(fixture).await?;
    let mut open = session.dial(Service::Echo).await?;
    echo(fixture, &mut open).await?;
    session.users.replace(vec![user(BOB)?]);
    refused(&session, session.client.as_ref(), "a user who was removed").await?;
    let bob = session.client_of(&user(BOB)?)?;
    let mut stream = session.dial_by(bob.as_ref(), &fixture.client_net, Service::Echo).await?;
    echo(fixture, &mut stream).await?;
    // An open channel outlives its user's entry.
    echo(fixture, &mut open).await?;
    session.users.replace(vec![user(ALICE)?, user(BOB)?]);
    let mut again = session.dial(Service::Echo).await?;
    echo(fixture, &mut again).await?;
    drop((open, stream, again));
    session.finish().await?;
    Ok(Outcome::Passed)
}

/// A dial that must give an error, or a channel without a byte in it.
async fn refused(session: &Session<'_>, client: &dyn Client, who: &str) -> Result<(), CheckError> {
    let fixture = session.fixture;
    let cx = Cx::new(Arc::clone(&fixture.client_net), fixture.pace.dial);
    let dial = dial_stream(fixture, client, &cx, Service::Greeting);
    let mut stream = match fixture.within("a dial that must be refused", dial).await? {
        Ok(Some(stream)) => stream,
        Ok(None) => return Err(CheckError::broken(format!("{who} got a channel that is no stream"))),
        Err(DialError::Network { .. }) => return Ok(()),
        Err(other) => return Err(other.into()),
    };
    drop(stream.write_all(b"let me in").await);
    drop(stream.flush().await);
    let mut chunk = vec![0; 1024];
    let mut read = fixture.for_at_most(fixture.pace.quiet, stream.read(&mut chunk)).await;
    if read.is_none() {
        // A bridge that stays silent like the rest of its cover must still let go when we do.
        drop(stream.shutdown().await);
        read = fixture.for_at_most(fixture.pace.linger, stream.read(&mut chunk)).await;
    }
    ensure(!matches!(read, Some(Ok(1..))), || format!("{who} was given data"))
}

async fn echo(fixture: &Fixture, stream: &mut BoxStream) -> Result<(), CheckError> {
    let got = fixture.within("an echo", exchange(stream, b"it is me")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"it is me", || "the echo came changed".into())
}
