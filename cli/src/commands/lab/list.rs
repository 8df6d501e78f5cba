//! `commucat lab list`: profiles, policies and their parameters.

use commucat_censor::{Catalogue, PolicyRow, Profile};

use super::subjects;
use crate::{
    exit::{Exit, usage},
    terminal::{say, say_json, table},
};

/// Show the profiles and policies there are
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only this profile or policy, with all that is known of it
    name: Option<String>,

    /// Everything as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ListArgs) -> anyhow::Result<Exit> {
    match &args.name {
        Some(name) => one(name, args.json)?,
        None if args.json => all_as_json()?,
        None => all()?,
    }
    Ok(Exit::Ok)
}

fn all_as_json() -> anyhow::Result<()> {
    say_json(&serde_json::json!({ "catalogue": Catalogue::new(), "transports": subjects::names() }))
}

fn all() -> anyhow::Result<()> {
    let mut rows = vec![["profile", "chain"].map(str::to_owned).to_vec()];
    rows.extend(Profile::all().into_iter().map(|profile| vec![profile.name.clone(), profile.chain()]));
    say(table(&rows))?;
    say("")?;
    let mut rows = vec![["policy", "what it does"].map(str::to_owned).to_vec()];
    rows.extend(
        Catalogue::new().policies.iter().map(|policy| vec![policy.name.to_owned(), policy.about.to_owned()]),
    );
    say(table(&rows))?;
    say("")?;
    say(format_args!("transports: {}", subjects::names().join(" ")))?;
    say("more of one of them: commucat lab list NAME")?;
    Ok(())
}

fn one(name: &str, json: bool) -> anyhow::Result<()> {
    if let Some(policy) = Catalogue::new().policies.iter().find(|policy| policy.name == name) {
        return one_policy(policy, json);
    }
    let profile =
        Profile::named(name).map_err(|error| usage(error, "`commucat lab list` shows all names"))?;
    if json {
        return say_json(&profile);
    }
    say(format_args!("{}: {}", profile.name, profile.about))?;
    say(format_args!("chain:    {}", profile.chain()))?;
    say(format_args!("a probe inside names: {}", profile.expected.join(" ")))?;
    for unseen in &profile.unseen {
        say(format_args!("not seen by a probe: {} ({})", unseen.policy, unseen.why))?;
    }
    for source in &profile.sources {
        say(format_args!("source:   {}", source.text))?;
    }
    Ok(())
}

fn one_policy(policy: &PolicyRow, json: bool) -> anyhow::Result<()> {
    if json {
        return say_json(policy);
    }
    say(format_args!("{}: {}", policy.name, policy.about))?;
    let mut rows = vec![["parameter", "default", "unit", "meaning"].map(str::to_owned).to_vec()];
    rows.extend(
        policy
            .parameters
            .iter()
            .map(|one| [one.name, one.default, one.unit, one.about].map(|text| text.to_string()).to_vec()),
    );
    Ok(say(table(&rows))?)
}
