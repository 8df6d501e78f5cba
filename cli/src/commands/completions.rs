//! `commucat completions`: tab completion for shells.

use clap::CommandFactory as _;

/// Print tab completion for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "commucat", &mut script);
    Ok(crate::terminal::say(String::from_utf8_lossy(&script).trim_end())?)
}
