//! `report`: a kept universe as one page.

use super::{
    args::ReportArgs,
    files::{self, Problem},
    output::item,
};

pub(super) fn report(args: &ReportArgs) -> Result<u8, Problem> {
    let record = files::record(&args.record)?;
    let out = args.out.clone().unwrap_or_else(|| args.record.with_extension("html"));
    let page = crate::report::page(&record, &args.record.display().to_string());
    files::write(&out, page.as_bytes())?;
    item(
        "page",
        format_args!("{}, {} KiB: open it in a browser, it needs nothing else", out.display(), page.len() / 1024),
    );
    Ok(0)
}
