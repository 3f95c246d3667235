BEGIN TRANSACTION;
CREATE TABLE account (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain
);
INSERT INTO "account" VALUES(1,'665cf47e91243771','Alice','example.org');
INSERT INTO "account" VALUES(2,'5c2973c38aeadf6b','bob','example.com');
CREATE TABLE address (
  local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain, account TEXT NOT NULL REFERENCES account (id),
  PRIMARY KEY (local_part, domain)
) WITHOUT ROWID;
INSERT INTO "address" VALUES('alice','example.org','665cf47e91243771');
INSERT INTO "address" VALUES('ann','example.org','665cf47e91243771');
INSERT INTO "address" VALUES('bob','example.com','5c2973c38aeadf6b');
CREATE TABLE alias (
  local_part TEXT NOT NULL, domain TEXT NOT NULL REFERENCES domain, owner TEXT, members_only INTEGER NOT NULL,
  PRIMARY KEY (local_part, domain)
) WITHOUT ROWID;
INSERT INTO "alias" VALUES('sales','example.org',NULL,0);
CREATE TABLE alias_target (
  number INTEGER PRIMARY KEY, local_part TEXT NOT NULL, domain TEXT NOT NULL, target TEXT NOT NULL,
  UNIQUE (local_part, domain, target), FOREIGN KEY (local_part, domain) REFERENCES alias
);
INSERT INTO "alias_target" VALUES(1,'sales','example.org','alice@example.org');
INSERT INTO "alias_target" VALUES(2,'sales','example.org','bob@example.com');
CREATE TABLE app_password (
  id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES account (id), name TEXT NOT NULL,
  digest BLOB NOT NULL, stored_key BLOB NOT NULL, server_key BLOB NOT NULL,
  scopes TEXT NOT NULL, created_at INTEGER NOT NULL, last_used_at INTEGER, expires_at INTEGER,
  UNIQUE (account, name)
) WITHOUT ROWID;
CREATE TABLE credential (
  account TEXT PRIMARY KEY REFERENCES account (id), scram_salt BLOB NOT NULL, scram_iterations INTEGER NOT NULL,
  password_hash TEXT, stored_key BLOB, server_key BLOB
) WITHOUT ROWID;
INSERT INTO "credential" VALUES('5c2973c38aeadf6b',X'DD1AD2F7E4D4A210042E71019F379930',64000,NULL,NULL,NULL);
INSERT INTO "credential" VALUES('665cf47e91243771',X'BD87043AF01C329F76203F1AEDAE4675',64000,NULL,NULL,NULL);
CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO "domain" VALUES('example.com');
INSERT INTO "domain" VALUES('example.org');
CREATE TABLE fake_salt (key BLOB NOT NULL);
INSERT INTO "fake_salt" VALUES(X'4EBA27469C29875E2229B3E983E4C5F6760DDE08912DA32F11F6CB824A6B7DCD');
COMMIT;
