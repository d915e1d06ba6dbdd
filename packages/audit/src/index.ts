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
export { FIELDS, type Field } from './find/event-terms.ts';
export { openRecordIndex, type RecordIndexOptions } from './find/local-record-index.ts';
export type { LogSource } from './find/log-index.ts';
export type { IndexSizes } from './find/partition.ts';
export type { Condition, Question } from './find/question.ts';
export {
  type Answer,
  type AnswerLog,
  type AnswerProblem,
  type AnswerRow,
  type AskOptions,
  type CompleteLog,
  type Completeness,
  type IndexProgress,
  type IndexStatus,
  type PageRequest,
  type RecordIndex,
  ROWS_MAX,
  type UnknownValue,
} from './find/record-index.ts';
export { startRecordIndex } from './find/start-record-index.ts';
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
