export { AuditError, type AuditErrorCode } from './audit-error.ts';
export {
  type CheckpointLog,
  type CheckpointLogOptions,
  createCheckpointLog,
} from './checkpoint-log.ts';
export type {
  Collector,
  CollectorAlarm,
  CollectorAlarmKind,
  CollectorOptions,
  CollectorRefusal,
  PointRegistration,
  PushOutcome,
  PushRefusal,
} from './collector.ts';
export { type CollectorRoutesOptions, collectorRoutes } from './collector-routes.ts';
export {
  type EnteredCheckpoints,
  type EnteredProblem,
  readEnteredCheckpoints,
} from './entered-checkpoints.ts';
export { checkEventEntries, type EventEvidenceOptions } from './evidence/check-event-entries.ts';
export type { EvidenceStory } from './evidence/evidence-story.ts';
export { type FoundCheckpoint, findEntered } from './evidence/find-entered.ts';
export {
  type BroughtAlong,
  type EvidenceFinding,
  verifyEventEvidence,
} from './evidence/verify-event-evidence.ts';
export type { DeadLetter } from './export/dead-letters.ts';
export type { ExportRecord, ExportSink, SinkAnswer } from './export/export-sink.ts';
export type {
  ExportAlarm,
  ExportAlarmKind,
  Exporter,
  ExporterOptions,
  ExporterStatus,
  ExportFilter,
  ExportSource,
  ExportTrouble,
} from './export/exporter.ts';
export { type FileSinkOptions, fileSink } from './export/file-sink.ts';
export type { HttpSinkOptions } from './export/http-post.ts';
export { type HttpsSinkOptions, httpsSink } from './export/https-sink.ts';
export { LagMeter } from './export/lag-meter.ts';
export { type OtlpSinkOptions, otlpSink } from './export/otlp-sink.ts';
export { startExporter } from './export/start-exporter.ts';
export { type SyslogSinkOptions, syslogSink } from './export/syslog-sink.ts';
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
  type CheckpointSource,
  type CompleteLog,
  type Completeness,
  type IndexProgress,
  type IndexStatus,
  type PageRequest,
  type RecordIndex,
  ROWS_MAX,
  type UnknownValue,
  type VerifyAnswerOptions,
} from './find/record-index.ts';
export { startRecordIndex } from './find/start-record-index.ts';
export {
  createLogPusher,
  type LogPusher,
  type LogPusherOptions,
  type LogPusherStatus,
  type PushTrouble,
} from './log-pusher.ts';
export { type ClockReport, type ClockWatch, createClockWatch } from './metrics/clock-watch.ts';
export { diskMeter, measureLog, meteredDisk } from './metrics/log-metrics.ts';
export {
  createMetrics,
  type Histogram,
  type Labels,
  METRICS_TYPE,
  type Metrics,
  type Reading,
} from './metrics/metrics.ts';
export { OCSF_VERSION, type OcsfEvent, type OcsfMetadata } from './ocsf/ocsf-event.ts';
export { type ToOcsfOptions, toOcsf } from './ocsf/to-ocsf.ts';
export { openCollector } from './open-collector.ts';
export { askByName, type Namer, withoutNames } from './privacy/ask-by-name.ts';
export { type Person, type Pseudonym, parsePerson, personOfSubject } from './privacy/person.ts';
export { recordKeyRoutes } from './privacy/record-key-routes.ts';
export type { Erasure, RecordKeyStore } from './privacy/record-key-store.ts';
export { openRecordKeyStore } from './privacy/record-key-store.ts';
export {
  keyPeriodOf,
  type OpenRecordKeys,
  openRecordKeys,
  parseRecordKeys,
  type RecordKeys,
  recordKeysTag,
} from './privacy/record-keys.ts';
export {
  type ClosedPart,
  openingsOf,
  type Revealed,
  revealByOpenings,
  revealEvent,
} from './privacy/reveal-event.ts';
export { createSealer, type Sealer, type SealerOptions } from './privacy/seal-event.ts';
export type {
  LogPublisher,
  PublishedLog,
  PublishStatus,
  PublishTrouble,
} from './publish/log-publisher.ts';
export { type LogPublisherOptions, startLogPublisher } from './publish/start-log-publisher.ts';
export { decodePush, encodePush, PUSH_BYTES_MAX } from './push-format.ts';
export { type ReadEvents, readEvents } from './read-events.ts';
export { holdOnPersons } from './retention/hold-on-persons.ts';
export { type HoldScope, holdCovers, type LegalHold } from './retention/legal-hold.ts';
export {
  type DueKeys,
  holdCoversKeys,
  type KeyPlan,
  type PlanKeysOptions,
  planKeys,
} from './retention/plan-keys.ts';
export {
  type PlannedClass,
  type PlannedShard,
  planRetention,
  type RetainedShard,
  type RetentionPlan,
} from './retention/retention-plan.ts';
export {
  openRetentionStore,
  type RemovedShard,
  type RetentionStore,
} from './retention/retention-store.ts';
export { type ClassCount, type ShardCensus, takeCensus } from './retention/shard-census.ts';
export { openRollingLog } from './shards/open-rolling-log.ts';
export {
  type PeriodBounds,
  periodBounds,
  periodOf,
  SHARD_LENGTHS,
  type ShardLength,
} from './shards/period.ts';
export { createShardPusher, type ShardPusherOptions } from './shards/push-shards.ts';
export type { OpenShard, RollingLog, RollingLogOptions } from './shards/rolling-log.ts';
export {
  type ShardChainProblem,
  type ShardEnds,
  verifyShardChain,
} from './shards/shard-chain.ts';
export { endOfShard, type ShardClosing, type ShardOpening } from './shards/shard-events.ts';
export {
  compareShards,
  logOfShard,
  parseShardName,
  type ShardName,
  shardBounds,
  shardName,
} from './shards/shard-name.ts';
export {
  type ShardStorage,
  shardFolder,
  shardFolders,
  shardPeriodsIn,
} from './shards/shard-storage.ts';
export { type TileRoutesOptions, tileRoutes } from './tile-routes.ts';
export {
  type OpenExchange,
  type RecordCarry,
  type RecordProblem,
  type RecordProblemCode,
  type RecordReport,
  type UnfinishedExchange,
  type VerifyRecordOptions,
  verifyRecord,
} from './verify-record.ts';
