//! The table at the end: what was done, told and asked.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use rotation::EventKind;

use sandbox::Cloud;
use sandbox::journal::Effect;
use sandbox::world::{AccountState, MANAGEMENT_ACCOUNT};

/// What came of it, by the journal; what changes nothing in AWS, by the events that the workers have put on the bus.
pub(super) fn table(cloud: &Cloud, accounts: &[String], dead_letter_queue: &str) -> Table {
    let effects = || cloud.journal.effects().iter().map(|record| &record.effect);
    let count = |is: fn(&Effect) -> bool| effects().filter(|effect| is(effect)).count() as u64;
    let events = || cloud.event_buses.events().iter().map(|event| event.detail_type.as_str());
    let told = |kind: EventKind| events().filter(|event| *event == kind.detail_type()).count() as u64;
    let open = accounts.iter().filter(|id| cloud.account(id).state == AccountState::Active).count();
    let dead_letters = cloud.queues.queue(MANAGEMENT_ACCOUNT, dead_letter_queue).map_or(0, |queue| queue.len());
    let rows = [
        ("accounts (active)", open as u64),
        ("keys rotated", count(|effect| matches!(effect, Effect::KeyCreated { .. }))),
        ("keys disabled", count(|effect| matches!(effect, Effect::KeyStatusChanged { active: false, .. }))),
        ("keys deleted", count(|effect| matches!(effect, Effect::KeyDeleted { .. }))),
        ("warnings", told(EventKind::Upcoming)),
        ("findings", told(EventKind::Finding)),
        ("mails accepted", count(|effect| matches!(effect, Effect::MailAccepted { .. }))),
        ("users that had to be retried", told(EventKind::Failed)),
        ("dead letters", dead_letters as u64),
        ("AWS calls", cloud.journal.total()),
    ];
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["", "in all"]);
    for (name, value) in rows.into_iter().filter(|(_, value)| *value > 0) {
        table.add_row([name.to_owned(), value.to_string()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
