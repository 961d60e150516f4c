dnl For the end of sendmail.mc: asks charter-milter, and refuses requests for delivery receipts.
dnl F=T makes the charter binding: while the filter is away, senders are told to try again later.
define(`confPRIVACY_FLAGS', ifdef(`confPRIVACY_FLAGS', `defn(`confPRIVACY_FLAGS')', `authwarnings')`,noreceipts')dnl
INPUT_MAIL_FILTER(`charter', `S=unix:/run/charter-milter/milter.sock, F=T, T=C:10s;S:30s;R:30s;E:5m')dnl
