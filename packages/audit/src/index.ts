export { AuditError, type AuditErrorCode } from './audit-error.ts';
export type {
  Collector,
  CollectorAlarm,
  CollectorAlarmKind,
  CollectorOptions,
  PointRegistration,
  PushOutcome,
  PushRefusal,
} from './collector.ts';
export { type CollectorRoutesOptions, collectorRoutes } from './collector-routes.ts';
export {
  createLogPusher,
  type LogPusher,
  type LogPusherOptions,
  type LogPusherStatus,
  type PushTrouble,
} from './log-pusher.ts';
export { OCSF_VERSION, type OcsfEvent, type OcsfMetadata } from './ocsf/ocsf-event.ts';
export { type ToOcsfOptions, toOcsf } from './ocsf/to-ocsf.ts';
export { openCollector } from './open-collector.ts';
export { decodePush, encodePush, PUSH_BYTES_MAX } from './push-format.ts';
export {
  type RecordProblem,
  type RecordProblemCode,
  type RecordReport,
  type UnfinishedExchange,
  type VerifyRecordOptions,
  verifyRecord,
} from './verify-record.ts';
