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
import type { OwnSvid } from '../authority/keys/own-svid.ts';
import { listenError } from '../authority/listen-error.ts';
import { endWithCertificate } from '../listener-certificate/end-with-certificate.ts';
import type { ListenerCertificates } from '../listener-certificate/listener-certificates.ts';

/** A report comes within seconds; nobody may hold a connection with half of one. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Serves what sources say of devices on a listener of its own: they are elsewhere, and have no SVID. */
export async function servePostureWebhooks(options: {
  readonly config: NonNullable<DevicesConfig['webhooks']>;
  readonly settings: () => DeviceSettings;
  readonly identity: Identity;
  readonly database: Database;
  readonly own: OwnSvid;
  readonly certificates: Pick<ListenerCertificates, 'open'>;
  readonly record: Recorder;
  readonly now: Clock;
}): Promise<{ close(): Promise<void> }> {
  const { config, settings, identity, database, own, certificates, record, now } = options;
  const { address, certificateFile, keyFile } = config;
  const certificate =
    certificateFile !== undefined && keyFile !== undefined
      ? await certificates.open('authority.devices.webhooks', { certificateFile, keyFile })
      : undefined;
  const shown = certificate ?? own;
  const tls: ServerTls = { svid: shown.current, clientCertificates: 'request' };
  const app = Fastify({
    https: serverTlsOptions(tls),
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
  });
  const server = app.server as unknown as Server;
  shown.onRenewed(() => renewServerTls(server, tls));
  if (certificate) endWithCertificate(server, { now });
  await app.register(
    postureWebhookRoutes({
      ...{ devices: identity.devices, database, settings, record, now },
      readSecret: (file) => readFile(file, 'utf8'),
    }),
  );
  try {
    await app.listen({ ...address });
  } catch (cause) {
    await app.close();
    throw listenError('authority.devices.webhooks', { address, cause });
  }
  return { close: () => app.close() };
}
