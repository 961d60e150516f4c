//! Why a message that waited may not leave any more (cnrs:I.b, am:4.1).

use crate::closed_list::closed_list;

closed_list! {
    /// Why a message goes back to its sender.
    Overdue {
        /// The period is over.
        PeriodOver = "period-over",
        /// The period ends before the next window opens.
        NoWindowLeft = "no-window-left",
        /// The sender, the list or the charter was suspended until it was too late.
        Suspended = "suspended",
        /// The postmaster cancelled it by order.
        Order = "operator",
    }
}
