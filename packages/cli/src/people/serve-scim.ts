import { readFile } from 'node:fs/promises';
import type { TlsOptions, Server as TlsServer } from 'node:tls';
import { type Identity, type Recorder, type ScimClient, scimRoutes } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { ScimSettings } from '@countersign/policy';
import { type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import Fastify from 'fastify';
import { controlPeers } from '../authority/control-peer.ts';
import { listenError } from '../authority/listen-error.ts';
import type { OwnSvid } from '../authority/own-svid.ts';
import { CommandError } from '../command-line/command.ts';

/** RFC 9325 §4.2: what of TLS 1.2 is still good. Entra offers nothing newer, by its own documentation. */
const TLS_12_SUITES = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':');
/** A cloud's request comes within a second; nobody may hold a connection with half of one. */
const REQUEST_TIMEOUT_MS = 60_000;

/** What the listener needs. */
export interface ServeScimOptions {
  readonly settings: ScimSettings;
  readonly clients: readonly ScimClient[];
  readonly identity: Identity;
  readonly own: OwnSvid;
  readonly record: Recorder;
  readonly now: Clock;
}

/**
 * Serves SCIM on a listener of its own. With the authority's SVID it speaks TLS 1.3 only; with a certificate of the configuration, which
 * is for clients outside, TLS 1.2 too.
 */
export async function serveScim(options: ServeScimOptions): Promise<{ close(): Promise<void> }> {
  const { settings, clients, identity, own, record, now } = options;
  const tls: ServerTls = { svid: own.current, clientCertificates: 'request' };
  const app = Fastify({
    https: await tlsOptions(settings, tls),
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 256 },
  });
  if (settings.certificateFile === undefined) {
    own.keepFresh(app.server as unknown as TlsServer, tls);
  }
  const peers = controlPeers({
    trustDomain: identity.trustAnchors.trustDomain,
    identity,
    now,
  });
  await app.register(
    scimRoutes({
      users: identity.people.users,
      groups: identity.people.groups,
      clients,
      peer({ raw }) {
        const peer = peers.of(raw.socket);
        if (!peer || identity.subject(peer.spiffeId)?.enabled !== true) return undefined;
        const isRevoked =
          identity.isRevoked('subject', peer.spiffeId) ||
          identity.isRevoked('certificate', peer.thumbprint);
        return isRevoked ? undefined : { spiffeId: peer.spiffeId };
      },
      origin: settings.url,
      record,
      now,
    }),
    { prefix: '/scim/v2' },
  );
  const { address } = settings;
  try {
    await app.listen({ ...address });
  } catch (cause) {
    await app.close();
    throw listenError('authority.people.scim.address', { address, cause });
  }
  return { close: () => app.close() };
}

async function tlsOptions(settings: ScimSettings, tls: ServerTls): Promise<TlsOptions> {
  const options = serverTlsOptions(tls);
  const { certificateFile, keyFile } = settings;
  if (certificateFile === undefined || keyFile === undefined) return options;
  const { ciphers } = options;
  return {
    ...options,
    cert: await readPem(certificateFile),
    key: await readPem(keyFile),
    minVersion: 'TLSv1.2',
    ciphers: [ciphers, TLS_12_SUITES].join(':'),
  };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`cannot serve SCIM: cannot read ${file}`, { cause });
  }
}
