//! What decisions have to remember across messages: quota reservations, fingerprints of copies, stops.
