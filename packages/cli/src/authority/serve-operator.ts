import { chmod, rm } from 'node:fs/promises';
import { tileRoutes } from '@countersign/audit';
import {
  adminRoutes,
  answerProblems,
  customerRoutes,
  deviceRoutes,
  loginLinkRoutes,
  peopleRoutes,
  type Recorder,
} from '@countersign/identity';
import Fastify from 'fastify';
import { federationRoutes } from '../federation/federation-routes.ts';
import type { CutOptions } from '../partner/cut-partner.ts';
import { partnerRoutes } from '../partner/partner-routes.ts';
import type { RunningSignals } from '../signals/run-signals.ts';
import { signalOperatorRoutes } from '../signals/signal-operator-routes.ts';
import { type OperatorRoutesOptions, operatorRoutes } from './operator-routes.ts';
import type { Publisher } from './publisher.ts';
import { type PrivacyRoutesOptions, privacyRoutes } from './record/privacy-routes.ts';
import { publishedLog } from './record/published-log.ts';
import { readingNotes } from './record/reading-notes.ts';
import type { RecordQuestions } from './record/record-questions.ts';
import { recordRoutes } from './record/record-routes.ts';
import { recordedEntries } from './record/recorded-entry.ts';
import type { Retention } from './record/retention.ts';
import { retentionRoutes } from './record/retention-routes.ts';
import { registrationRoutes } from './registration-routes.ts';

/** Serves the operator on a unix socket: who may open the file is the operator. */
export async function serveOperator(
  path: string,
  options: OperatorRoutesOptions &
    Omit<PrivacyRoutesOptions, 'points' | 'holds' | 'recordedEntry'> & {
      readonly publishedFolder: string;
      readonly questions: RecordQuestions;
      readonly retention: Retention;
      readonly publisher: Publisher;
      readonly customerFault: Parameters<typeof customerRoutes>[0]['faultOf'];
      /** Absent where none are configured. */
      readonly signals: RunningSignals | undefined;
    } & Omit<Parameters<typeof federationRoutes>[0], 'identity' | 'by'> &
    Pick<CutOptions, 'config' | 'surfaces' | 'shownCertificate' | 'now'>,
): Promise<{ close(): Promise<void> }> {
  // A customer's id is longer than what Fastify takes as a named parameter.
  const app = Fastify({ forceCloseConnections: true, routerOptions: { maxParamLength: 400 } });
  // Of routes that say nothing of their own.
  answerProblems(app);
  await app.register(adminRoutes({ identity: options.identity, by: options.by }));
  const { by } = options;
  const record = options.record as Recorder;
  await app.register(peopleRoutes({ people: options.identity.people, by, record }));
  await app.register(loginLinkRoutes({ identity: options.identity, by }));
  await app.register(deviceRoutes({ devices: options.identity.devices, by }));
  await app.register(
    customerRoutes({
      ...{ identity: options.identity, faultOf: options.customerFault },
      caller: async () => by,
    }),
  );
  await app.register(operatorRoutes(options));
  await app.register(registrationRoutes(options));
  await app.register(
    privacyRoutes({
      ...options,
      holds: () => options.retention.holds(),
      points: () => options.identity.points().map(({ name }) => name),
      recordedEntry: recordedEntries(options),
    }),
  );
  await app.register(
    tileRoutes({ published: (name) => publishedLog(options.publishedFolder, name) }),
  );
  await app.register(readingNotes(options));
  const operator = { by: options.by, mayStill: async () => true, mayResolve: async () => true };
  await app.register(recordRoutes({ ...options, reader: () => operator }));
  await app.register(retentionRoutes(options));
  await app.register(federationRoutes(options));
  await app.register(signalOperatorRoutes(options));
  await app.register(partnerRoutes(options));
  await rm(path, { force: true });
  // The mode is the authentication: it must be right from the first moment.
  const before = process.umask(0o177);
  try {
    await app.listen({ path });
  } finally {
    process.umask(before);
  }
  await chmod(path, 0o600);
  return { close: () => app.close() };
}
