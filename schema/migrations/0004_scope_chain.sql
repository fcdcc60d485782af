-- Scope, configuration, licensing, vault and access: what the words of schema 3 needed once they were at work.

