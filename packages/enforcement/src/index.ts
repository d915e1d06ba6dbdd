export type { Channel, ChannelFault, ChannelRegistry } from './channels/channel-registry.ts';
export type { Reach } from './channels/reach-of-change.ts';
export {
  compileOperationRoutes,
  type OperationMatch,
  type OperationRoutes,
} from './describe/operation-routes.ts';
export {
  type AmbiguousTarget,
  type RequestTarget,
  readRequestTarget,
} from './describe/request-target.ts';
export type { TransactionSigner } from './enforce/transaction-minter.ts';
export { EnforcementError, type EnforcementErrorCode } from './enforcement-error.ts';
export {
  createEnforcementPoint,
  type EnforcementPoint,
  type EnforcementPointOptions,
  type EnforcementStats,
  type Knowledge,
  type ListenerAddress,
  type PointAlarm,
} from './enforcement-point.ts';
export type {
  Answer,
  Connection,
  EndCause,
  Exchange,
  ForwardFailure,
  ForwardObserver,
  ForwardPlan,
  ForwardTarget,
  RequestHead,
} from './exchange.ts';
export { LIMITS } from './limits.ts';
export type { ConnectionPeer } from './peer.ts';
export type { AlarmName, Counters } from './point-context.ts';
export type { ServerCertificate } from './server-certificate.ts';
