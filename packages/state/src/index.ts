export { type BundleStore, openBundleStore, type PublishedBundle } from './bundle-store.ts';
export { type Database, type LoadRows, openDatabase, type Transaction } from './database.ts';
export type { FactEdit, FactLog, FactMessage } from './fact-log.ts';
export type { FeedCursor } from './feed-reader.ts';
export { type FeedOptions, feedRoutes } from './feed-routes.ts';
export {
  type FeedFollower,
  type FollowOptions,
  followFeed,
  type LineResult,
} from './follow-feed.ts';
export { groupTransactions } from './group-transactions.ts';
export { type Migration, migrate } from './migrate.ts';
export { type FactStanding, openFactLog } from './open-fact-log.ts';
export { type ClockOffset, clockOffset } from './postgres/clock-offset.ts';
export { type MovedState, moveState } from './postgres/move-state.ts';
export { openPostgres, type PostgresOptions } from './postgres/open-postgres.ts';
export { type PreparedQuery, prepareQuery } from './prepare-query.ts';
export { localSigner, signStatement } from './sign-statement.ts';
export { StateError, type StateErrorCode } from './state-error.ts';
export {
  FACTS_TYPE,
  POLICY_TYPE,
  STATEMENT_LENGTH_MAX,
  type StatementSigner,
  type TrustAnchors,
} from './statement.ts';
export { verifyStatement } from './verify-statement.ts';
