//! `scenarios`: what can be run.

use serde_json::json;

use super::{
    args::ScenariosArgs,
    files::{self, Problem},
    output::{item, line},
};
use crate::scenario::{READY, ready};

pub(super) fn list(args: &ScenariosArgs) -> Result<u8, Problem> {
    if let Some(name) = &args.name {
        let scenario = files::scenario(name)?;
        let text = READY.iter().find(|(known, _)| *known == scenario.name).map_or("", |(_, text)| *text);
        line(text.trim_end());
        return Ok(0);
    }
    if args.json {
        let ready = ready().map(|scenario| {
            let (name, about, expect) = (&scenario.name, &scenario.about, &scenario.expect);
            json!({ "name": name, "about": about, "expect": expect, "virtual_s": scenario.length_ms() / 1_000 })
        });
        line(serde_json::Value::Array(ready.collect()));
        return Ok(0);
    }
    for scenario in ready() {
        line(format_args!("{} ({} virtual s)", scenario.name, scenario.length_ms() / 1_000));
        item("  about", &scenario.about);
        item("  expect", &scenario.expect);
    }
    Ok(0)
}
