import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tileRoutes } from '@countersign/audit';
import { adminRoutes } from '@countersign/identity';
import { tileFolder } from '@countersign/ledger';
import Fastify from 'fastify';
import { type OperatorRoutesOptions, operatorRoutes } from './operator-routes.ts';
import type { Recorder } from './own-record.ts';
import type { RecordQuestions } from './record-questions.ts';
import { recordRoutes } from './record-routes.ts';
import type { Retention } from './retention.ts';
import { retentionRoutes } from './retention-routes.ts';

/** Serves the operator on a unix socket: who may open the file is the operator. */
export async function serveOperator(
  path: string,
  options: OperatorRoutesOptions & {
    readonly by: string;
    readonly publishedFolder: string;
    readonly record: Recorder;
    readonly questions: RecordQuestions;
    readonly retention: Retention;
  },
): Promise<{ close(): Promise<void> }> {
  const app = Fastify({ forceCloseConnections: true });
  await app.register(adminRoutes({ identity: options.identity, by: options.by }));
  await app.register(operatorRoutes(options));
  await app.register(tileRoutes({ published: (name) => publishedLog(options, name) }));
  await app.register(recordRoutes(options));
  await app.register(retentionRoutes(options));
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

/** The operator may read every log; a name is one part of a path, whatever it came in. */
function publishedLog({ publishedFolder }: { publishedFolder: string }, name: string) {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(@[0-9qm]{4,7})?$/.test(name)) return undefined;
  return tileFolder(join(publishedFolder, name)).read;
}
