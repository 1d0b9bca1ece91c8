//! What sorting makes of deliveries.

use super::*;
use crate::domain::event::Event;
use crate::domain::ids::*;
use crate::engine::ports::{Counts, Fate};
use crate::engine::script::*;

/// Reads what a delivery is from its event's name.
struct Words;

impl Webhooks for Words {
    fn interpret(&self, event: &str, _: &[u8]) -> Interpretation {
        let because = event.to_owned();
        match event {
            "look" => {
                let look = |number| (pull(number), Event::Look { because: event.to_owned() });
                Interpretation::Events { installation: InstallationId(7), events: vec![look(1)] }
            }
            "dull" => Interpretation::Ignored { because },
            _ => Interpretation::Unreadable { because },
        }
    }
}

async fn admit(script: &Script, id: &str, event: &str) {
    let (id, body) = (DeliveryId::new(id), bytes::Bytes::new());
    let delivery = NewDelivery { id, event: event.to_owned(), body, received_at: at_seconds(3) };
    script.store.admit(delivery).await.unwrap();
}

async fn go(script: &Script) -> usize {
    sort(&*script.store, &Words, script).await.unwrap()
}

#[tokio::test]
async fn a_delivery_becomes_what_it_means() {
    let script = Script::new();
    script.go_to(at_seconds(8));
    for event in ["look", "dull", "odd"] {
        admit(&script, event, event).await;
    }
    assert_eq!(go(&script).await, 3);
    let mut fates = Vec::new();
    for id in ["look", "dull", "odd"] {
        fates.extend(script.store.delivery(&DeliveryId::new(id)).await.unwrap().into_iter().map(|known| known.fate));
    }
    let because = |text: &str| text.to_owned();
    assert_eq!(
        fates,
        [Fate::Sorted, Fate::Ignored { because: because("dull") }, Fate::Parked { because: because("odd") }]
    );
    let expected = Arrival {
        subject: pull(1),
        installation: Some(InstallationId(7)),
        event: Event::Look { because: because("look") },
        source: Source::Delivery(DeliveryId::new("look")),
        at: at_seconds(3),
    };
    assert_eq!(script.inbox().await, [expected]);
}

#[tokio::test]
async fn a_flood_is_sorted_in_portions() {
    let script = Script::new();
    for number in 0..65 {
        admit(&script, &format!("guid-{number}"), "dull").await;
    }
    assert_eq!([go(&script).await, go(&script).await, go(&script).await], [64, 1, 0]);
    assert_eq!(script.store.counts(Timestamp(0)).await, Ok(Counts::default()));
}
