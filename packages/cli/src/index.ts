export { type AdminClient, adminClient } from './admin-client.ts';
export { createEventStream, type EventStream } from './authority/record/event-stream.ts';
export { type EvidenceRoutesOptions, evidenceRoutes } from './authority/record/evidence-routes.ts';
export type { EventBody } from './authority/record/own-record.ts';
export { type ReaderRoutesOptions, readerRoutes } from './authority/record/reader-routes.ts';
export { type RecordAccess, recordAccess } from './authority/record/record-access.ts';
export type { RecordQuestions } from './authority/record/record-questions.ts';
export { retainedShards } from './authority/record/retained-shards.ts';
export { startRetention } from './authority/record/retention.ts';
export {
  type RunExportsOptions,
  type RunningExports,
  runExports,
} from './authority/record/run-exports.ts';
export { watchLateLogs } from './authority/record/watch-late-logs.ts';
export {
  type Arguments,
  type Command,
  CommandError,
  EXIT,
  type Io,
  type OptionSpec,
  UsageError,
} from './command-line/command.ts';
export { runCommandLine } from './command-line/run-command-line.ts';
export type { CaStatus } from './commands/ca.ts';
export { commands } from './commands/registry.ts';
export { type DataFolder, dataFolder, type PointFolder } from './data-folder.ts';
export { type Child, type ChildSpec, startChild } from './demo/child-process.ts';
export { type EventFinder, followEvents } from './demo/event-finder.ts';
export { type RunningBank, type StartBankOptions, startExampleBank } from './demo/example-bank.ts';
export { type ExampleBank, loadExampleBank } from './demo/load-example-bank.ts';
export { tourEnvironment } from './demo/tour-environment.ts';
export { drillId, POINT_ID as DRILL_POINT_ID } from './drill/drill-repository.ts';
export { descriptorLimit } from './drill/file-descriptors.ts';
export { type DrillBank, startDrillBank } from './drill/start-drill-bank.ts';
export {
  type BundleEndpointOptions,
  type RunningBundleEndpoint,
  serveBundleEndpoint,
} from './federation/serve-bundle-endpoint.ts';
export { endWithCertificate } from './listener-certificate/end-with-certificate.ts';
export {
  type CertificateShown,
  type ListenerCertificateStatus,
  type ListenerCertificates,
  listenerCertificates,
} from './listener-certificate/listener-certificates.ts';
export type {
  ListenerCertificate,
  WatchOptions,
} from './listener-certificate/watch-certificate.ts';
export { type ReadPassphraseOptions, readPassphrase } from './passphrase.ts';
export { followAuthority } from './point/follow-authority.ts';
export { throttleRepeats } from './point/throttle-repeats.ts';
export { watchPusher } from './point/watch-point.ts';
export { eventLine } from './record/event-line.ts';
export { nodeArguments, selfCommand } from './self.ts';
export { countAlarms } from './watch/count-alarms.ts';
export { watchQueue } from './watch/watch-queue.ts';
