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
export { checkEventEntries, type EventEvidenceOptions } from './evidence/check-event-entries.ts';
export {
  createLogPusher,
  type LogPusher,
  type LogPusherOptions,
  type LogPusherStatus,
  type PushTrouble,
} from './log-pusher.ts';
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
