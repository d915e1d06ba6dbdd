import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import {
  type DeviceSettings,
  type Identity,
  postureWebhookRoutes,
  type Recorder,
} from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { DevicesConfig } from '@countersign/policy';
import { renewServerTls, type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import type { Database } from '@countersign/state';
import Fastify from 'fastify';
import { listenError } from '../authority/listen-error.ts';
import type { OwnSvid } from '../authority/own-svid.ts';
import { certificateFiles } from '../tls/certificate-files.ts';

/** A certificate that a bank renews by putting another in its place is found within this. */
const CERTIFICATE_EVERY_MS = 60_000;
/** A report comes within seconds; nobody may hold a connection with half of one. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Serves what sources say of devices on a listener of its own: they are elsewhere, and have no SVID. */
export async function servePostureWebhooks(options: {
  readonly config: NonNullable<DevicesConfig['webhooks']>;
  readonly settings: () => DeviceSettings;
  readonly identity: Identity;
  readonly database: Database;
  readonly own: OwnSvid;
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}): Promise<{ close(): Promise<void> }> {
  const { config, settings, identity, database, own, record, now, warn } = options;
  const files = await certificateFiles(config, 'posture webhooks');
  const tls: ServerTls = { svid: files?.current ?? own.current, clientCertificates: 'request' };
  const app = Fastify({
    https: serverTlsOptions(tls),
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
  });
  const server = app.server as unknown as Server;
  if (!files) own.keepFresh(server, tls);
  const timer = setInterval(() => {
    files?.reread().then(
      (isNew) => isNew && renewServerTls(server, tls),
      (error: Error) => warn(`cannot reread the certificate of webhooks: ${error.message}`),
    );
  }, CERTIFICATE_EVERY_MS);
  timer.unref();
  await app.register(
    postureWebhookRoutes({
      ...{ devices: identity.devices, database, settings, record, now },
      readSecret: (file) => readFile(file, 'utf8'),
    }),
  );
  const { address } = config;
  try {
    await app.listen({ ...address });
  } catch (cause) {
    clearInterval(timer);
    await app.close();
    throw listenError('authority.devices.webhooks', { address, cause });
  }
  return {
    async close() {
      clearInterval(timer);
      await app.close();
    },
  };
}
