//! `bridge`: what this node passes between two meshes, and which gateways lead where.

use super::{
    context::Context,
    output::{field, table},
};
use crate::service::error::ServiceError;
use serde_json::Value;

/// `bridge`
pub(super) fn bridge(context: &Context) -> Result<(), ServiceError> {
    let answer: Value = context.client.get("/api/v1/bridge")?;
    let name = |id: &Value| id.as_str().unwrap_or_default().chars().take(16).collect::<String>();
    context.output.show(&answer, |answer| {
        let list = |of: &str| answer[of].as_array().cloned().unwrap_or_default();
        let pair = |pair: &Value| {
            let side = |at: usize| {
                let state = if pair["connected"][at] == true { "" } else { " (away)" };
                format!("{}{state}", name(&pair["between"][at]))
            };
            vec![side(0), side(1), field(pair, "frames"), field(pair, "bytes"), field(pair, "refused")]
        };
        let way = |way: &Value| vec![name(&way["to"]), name(&way["gateway"])];
        let (pairs, ways) = (list("pairs"), list("ways"));
        let mut parts = Vec::new();
        if !pairs.is_empty() {
            parts.push(table(&["BETWEEN", "AND", "FRAMES", "BYTES", "REFUSED"], pairs.iter().map(pair)));
        }
        if !ways.is_empty() {
            parts.push(table(&["DOMAIN", "THROUGH GATEWAY OF"], ways.iter().map(way)));
        }
        if parts.is_empty() {
            "no bridge: this node passes nothing, and no gateway leads anywhere".to_owned()
        } else {
            parts.join("\n\n")
        }
    });
    Ok(())
}
