//! A replacement that is cancelled while it waits for health gives way to what ran before.

use std::time::Duration;

use anyhow::ensure;
use orrery_contracts::Status;
use orrery_tests::Installation;
use orrery_tests::bundles::replacing;
use orrery_tests::wait::until_equal;
use serde_json::json;

use crate::small_stacks::{WELL, free_port, page_says, web};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_replacement_that_is_cancelled_at_its_gate_gives_way_to_the_old() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let (name, port) = (orrery.name("gate"), free_port());
    orrery.api.create(&name, &web(port, "old", WELL)).await?;
    orrery.api.apply(&name, 1).await?;
    let before = orrery.engine.of_project(&name).await?;
    // Its first probe comes after the end of this test.
    orrery.api.save(&name, &replacing(web(port, "new", WELL), "compose.yaml", "interval: 300ms", "interval: 1h")?).await?;
    let apply = orrery.api.write(&format!("/stacks/{name}/apply/2"), json!({})).await?;
    until_equal("the new container to wait for its health", SOON, &true, || async {
        let seen = orrery.engine.inspect(&format!("{name}-web-1.orrery-new")).await?;
        Ok(seen.is_some_and(|seen| seen.state == "running"))
    })
    .await?;
    orrery.api.cancel(&apply.id).await?;
    let ended = orrery.api.settled(&apply.id).await?;
    ensure!(ended.status == Status::Cancelled, "{ended:#?}");
    page_says(port, "old").await?;
    let after = orrery.engine.of_project(&name).await?;
    let ids = |all: &[orrery_tests::Seen]| all.iter().map(|seen| (seen.name.clone(), seen.id.clone())).collect::<Vec<_>>();
    ensure!(ids(&before) == ids(&after), "not exactly what ran before: {after:#?}");
    ensure!(orrery.api.stack(&name).await?.current_version == Some(1));
    ensure!(orrery.api.plan(&name, 1).await?.empty);
    orrery.end().await
}
