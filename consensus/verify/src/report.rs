//! What was checked, as lines for people. What was not checked is said, never left out.

use crate::{
    chain::Judged,
    export::{AssetFigures, Report},
    projected::Told,
    verdict::Verdict,
};
use comity_proto::{amount::format_amount, ids::DomainId};
use std::fmt;

fn amount(figures: &AssetFigures, minor: u64) -> String {
    // Decimals of another domain's asset are not in this history.
    figures.scale.map_or_else(|| format!("{minor} minor units"), |scale| format_amount(minor, scale))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { checkpoint, signer, roster_epoch, roots_before, .. } = self;
        let root = match roots_before {
            0 => "the root key".to_owned(),
            before => format!("root key {}, which the first one leads to", before.saturating_add(1)),
        };
        writeln!(f, "domain      {}", checkpoint.domain)?;
        writeln!(f, "signature   checkpoint signed by voter {signer} of roster {roster_epoch}, roster by {root}")?;
        writeln!(f, "root        {} over {} events, recomputed", checkpoint.root, checkpoint.size)?;
        writeln!(
            f,
            "postings    {} in {} entries: each sums to zero, no balance ever below it",
            self.postings, self.entries
        )?;
        writeln!(f, "accounts    {} that are not empty, {} agents registered", self.accounts, self.agents)?;
        for figures in &self.assets {
            show_asset(f, figures)?;
        }
        for told in &self.projected {
            let Told { peer, events, size } = told;
            writeln!(f, "projected   {events} events of {peer}, each proved in its signed tree of up to {size}")?;
        }
        match self.against {
            Some(size) => write!(f, "extends     the older checkpoint over {size} events"),
            None => write!(f, "extends     not checked: no older checkpoint was given"),
        }
    }
}

fn show_asset(f: &mut fmt::Formatter<'_>, figures: &AssetFigures) -> fmt::Result {
    let show = |minor| amount(figures, minor);
    let AssetFigures { asset, supply, .. } = figures;
    if figures.own {
        let cap = figures.cap.map_or_else(|| "none".to_owned(), show);
        writeln!(f, "supply      {} of {}: every change by an issue or a burn, cap {cap}", show(*supply), asset.code)?;
    } else {
        writeln!(f, "wrapped     {} of {} of {}", show(*supply), asset.code, asset.issuer)?;
    }
    let AssetFigures { agents, locked, in_flight, house, .. } = *figures;
    let [agents, locked, in_flight, house] = [agents, locked, in_flight, house].map(show);
    writeln!(f, "            agents {agents}, locked {locked}, in flight {in_flight}, house {house}")?;
    for (peer, reserve) in &figures.reserves {
        let peer: &DomainId = peer;
        writeln!(f, "            reserve {} behind wrapped units in {peer}", show(*reserve))?;
    }
    Ok(())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::History(report) => report.fmt(f),
            Verdict::Checkpoint { judged, against } => {
                show_signed(f, judged)?;
                match against {
                    Some(size) if *size == judged.checkpoint().size => {
                        write!(f, "extends     the older checkpoint: it is the same tree")
                    }
                    Some(size) => {
                        write!(f, "extends     not shorter than the older one over {size}; the rest needs a proof")
                    }
                    None => write!(f, "extends     not checked: no older checkpoint was given"),
                }
            }
            Verdict::Extension { newer, older, against } => {
                show_signed(f, newer)?;
                let size = older.checkpoint().size;
                if *against {
                    write!(f, "extends     the older checkpoint over {size} events, proved")
                } else {
                    write!(
                        f,
                        "extends     a checkpoint over {size} events, proved; hold it against the one that you kept"
                    )
                }
            }
            Verdict::Equivocation { first, second } => {
                let checkpoint = first.checkpoint();
                writeln!(f, "domain      {} signed two histories of {} events", checkpoint.domain, checkpoint.size)?;
                writeln!(f, "one         {} by voter {}", checkpoint.root, first.signer())?;
                write!(f, "other       {} by voter {}", second.checkpoint().root, second.signer())
            }
            Verdict::Inclusion { judged, index, event } => {
                show_signed(f, judged)?;
                write!(f, "event       {index}, proved to be in it: {:?} at {}", event.kind, event.stamp_ms)
            }
            Verdict::TwoDecisions(two) => {
                writeln!(f, "domain      {} decided transfer {} in two ways", two.domain, two.transfer)?;
                writeln!(f, "commit      signed by voter {}", two.committed_by)?;
                write!(f, "abort       signed by voter {}", two.aborted_by)
            }
        }
    }
}

fn show_signed(f: &mut fmt::Formatter<'_>, judged: &Judged) -> fmt::Result {
    let checkpoint = judged.checkpoint();
    writeln!(f, "domain      {}", checkpoint.domain)?;
    let (signer, epoch) = (judged.signer(), judged.roster().epoch);
    writeln!(f, "signature   checkpoint signed by voter {signer} of roster {epoch}, roster by the root key")?;
    writeln!(f, "root        {} over {} events, not recomputed: needs a history", checkpoint.root, checkpoint.size)
}
