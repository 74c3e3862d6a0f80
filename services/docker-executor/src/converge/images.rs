//! Images first: nothing that runs is touched before the new version's images are here.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Apply;
use super::ledger::Ledger;
use super::site::{Halt, Site};
use crate::definition::ImageSource;
use crate::engine::{Act, Engine};
use crate::plan::{ImageWork, Todo};

/// How many images are got at once.
const AT_ONCE: usize = 3;

pub(super) async fn get<E: Engine, L: Ledger>(site: &Site<'_, E, L>, apply: &Apply<'_>, todo: &Todo) -> Result<(), Halt> {
    let works: Vec<_> = todo.images.iter().map(|work| one(site, apply, work)).collect();
    stream::iter(works).buffer_unordered(AT_ONCE).try_collect().await
}

async fn one<E: Engine, L: Ledger>(site: &Site<'_, E, L>, apply: &Apply<'_>, work: &ImageWork) -> Result<(), Halt> {
    let Some(service) = apply.desired.services.get(&work.service) else { return Ok(()) };
    match &service.image.source {
        ImageSource::Pull { platform, .. } => {
            let credentials = apply.desired.registries.of_image(&work.reference).cloned();
            let act = Act::Pull { reference: work.reference.clone(), platform: platform.clone(), credentials };
            site.act(&work.reference, act).await?;
            site.pulled(&work.reference);
            Ok(())
        }
        ImageSource::Build(order) => {
            let context = (apply.context)(order);
            site.act(&work.reference, Act::Build { order: order.clone(), context, registries: apply.desired.registries.clone() }).await?;
            for alias in &order.aliases {
                site.act(alias, Act::Tag { reference: order.tag.clone(), alias: alias.clone() }).await?;
            }
            Ok(())
        }
    }
}
