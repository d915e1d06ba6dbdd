import type { DecisionPoint } from '@countersign/decision';
import type { AuthenticationContext } from './authenticate/authentication-context.ts';
import type { ContentBudget } from './authenticate/content-budget.ts';
import type { ChannelRegistry } from './channels/channel-registry.ts';
import type { ListenerRoutes } from './describe/surface-routes.ts';
import type { TransactionMinter } from './enforce/transaction-minter.ts';
import type { Recorder } from './record/recorder.ts';

/** What all verbs of one enforcement point share. */
export interface PointContext {
  readonly now: () => number;
  readonly authentication: AuthenticationContext;
  /** The decision point in force. */
  readonly point: () => DecisionPoint;
  /** A listener's routes under the bundle in force. */
  readonly routes: (listener: string) => ListenerRoutes;
  readonly recorder: Recorder;
  readonly contents: ContentBudget;
  readonly minter: TransactionMinter;
  readonly channels: ChannelRegistry;
  readonly counters: Counters;
  /** Something is wrong with the point itself. */
  readonly alarm: (alarm: AlarmName, detail: string) => void;
}

/** The alarms that an enforcement point can raise. */
export type AlarmName =
  /** An event could not be recorded: requests are refused, or (in shadow) go on unrecorded. */
  | 'log-unavailable'
  /** A verb threw: the request was refused, or (in shadow) went on undecided. */
  | 'internal-error'
  /** A surface began to refuse because its facts are too old. */
  | 'facts-stale'
  /** The server of an upstream point did not prove to be the one expected. */
  | 'upstream-unauthenticated';

/** What a point has counted since it was made. */
export interface Counters {
  exchanges: number;
  permitted: number;
  refused: number;
  /** Requests that a shadow surface let through and an enforcing one would have refused. */
  wouldRefuse: number;
  /** Requests that went through in shadow without a record of them. */
  unrecorded: number;
  handshakesRefused: number;
}
