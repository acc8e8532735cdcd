-- The database and its two roles: my_service_owner owns the tables, for `migrate` alone;
-- my_service_app reads and writes their rows, for the service.
--
-- psql runs this file as a superuser, or as a role that may create roles and databases. It reads
-- the passwords from the URLs in SECRETS_DIR, so that no command line shows them.
\set ON_ERROR_STOP on
\set owner_password `sed 's|.*://[^:]*:\([^@]*\)@.*|\1|' "${SECRETS_DIR:-/run/secrets}/migration_database_url"`
\set password `sed 's|.*://[^:]*:\([^@]*\)@.*|\1|' "${SECRETS_DIR:-/run/secrets}/database_url"`

CREATE ROLE my_service_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE my_service_app LOGIN PASSWORD :'password';
GRANT my_service_owner TO CURRENT_USER;
CREATE DATABASE "my_service" OWNER my_service_owner;
REVOKE ALL ON DATABASE "my_service" FROM PUBLIC;
GRANT CONNECT ON DATABASE "my_service" TO my_service_app;

\connect "my_service"
-- Before PostgreSQL 15, every role may create tables.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO my_service_owner;
GRANT USAGE ON SCHEMA public TO my_service_app;
ALTER DEFAULT PRIVILEGES FOR ROLE my_service_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO my_service_app;
ALTER DEFAULT PRIVILEGES FOR ROLE my_service_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO my_service_app;
