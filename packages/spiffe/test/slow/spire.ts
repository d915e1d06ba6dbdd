import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { run, tool } from './tools.ts';

export const SPIRE_SERVER = tool('spire-server');
export const SPIRE_AGENT = tool('spire-agent');

/** A SPIRE server with one agent on this machine, for as long as a test wants them. */
export async function startSpire(trustDomain: string) {
  const folder = mkdtempSync(join(tmpdir(), 'spire-'));
  const [port, bundlePort] = [await freePort(), await freePort()];
  const serverSocket = join(folder, 'server.sock');
  const agentSocket = join(folder, 'agent.sock');
  for (const name of ['server', 'agent']) mkdirSync(join(folder, name));
  const serverConfig = join(folder, 'server.conf');
  writeFileSync(
    serverConfig,
    `server {
      bind_address = "127.0.0.1"
      bind_port = "${port}"
      socket_path = "${serverSocket}"
      trust_domain = "${trustDomain}"
      data_dir = "${folder}/server"
      log_level = "WARN"
      federation {
        bundle_endpoint {
          address = "127.0.0.1"
          port = ${bundlePort}
          refresh_hint = "1m"
          profile "https_spiffe" {}
        }
      }
    }
    plugins {
      DataStore "sql" {
        plugin_data {
          database_type = "sqlite3"
          connection_string = "${folder}/server/data.sqlite3"
        }
      }
      NodeAttestor "join_token" { plugin_data {} }
      KeyManager "memory" { plugin_data {} }
    }`,
  );
  const agentConfig = join(folder, 'agent.conf');
  const bundleFile = join(folder, 'bundle.pem');
  writeFileSync(
    agentConfig,
    `agent {
      data_dir = "${folder}/agent"
      log_level = "WARN"
      server_address = "127.0.0.1"
      server_port = "${port}"
      socket_path = "${agentSocket}"
      trust_bundle_path = "${bundleFile}"
      trust_domain = "${trustDomain}"
      experimental { sync_interval = "1s" }
    }
    plugins {
      NodeAttestor "join_token" { plugin_data {} }
      KeyManager "memory" { plugin_data {} }
      WorkloadAttestor "unix" { plugin_data {} }
    }`,
  );
  const running: { stop(): Promise<void> }[] = [];
  const log = join(folder, 'log');
  const start = (program: string, args: readonly string[]): number => {
    const file = openSync(log, 'a');
    const child = spawn(program, args, { stdio: ['ignore', file, file] });
    closeSync(file);
    const closed = once(child, 'close');
    running.push({
      stop: async () => {
        child.kill();
        await closed;
      },
    });
    return child.pid ?? 0;
  };
  const server = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(SPIRE_SERVER, [...args, '-socketPath', serverSocket]);
    return stdout;
  };
  const serverPid = start(SPIRE_SERVER, ['run', '-config', serverConfig]);
  await eventually(() => server('healthcheck'), log);
  writeFileSync(bundleFile, await server('bundle', 'show'));
  const agentId = `spiffe://${trustDomain}/agent`;
  const answer = await server('token', 'generate', '-spiffeID', agentId, '-output', 'json');
  const { value: token } = JSON.parse(answer) as { value: string };
  const agentPid = start(SPIRE_AGENT, ['run', '-config', agentConfig, '-joinToken', token]);
  await eventually(() => run(SPIRE_AGENT, ['healthcheck', '-socketPath', agentSocket]), log);
  return {
    endpoint: `unix://${agentSocket}`,
    /** The server's API on 127.0.0.1. */
    apiPort: port,
    /** For files that a command of SPIRE reads. */
    folder,
    serverSocket,
    serverPid,
    agentPid,
    bundleUrl: `https://127.0.0.1:${bundlePort}/`,
    server,
    /** @returns the entry's ID */
    register: async (
      path: string,
      ttlSeconds: number,
      more: readonly string[] = [],
    ): Promise<string> => {
      const created = await server(
        ...['entry', 'create', '-parentID', agentId, '-spiffeID', `spiffe://${trustDomain}${path}`],
        ...['-selector', `unix:uid:${process.getuid?.()}`, '-x509SVIDTTL', `${ttlSeconds}`],
        ...more,
        ...['-output', 'json'],
      );
      const { results } = JSON.parse(created) as { results: { entry: { id: string } }[] };
      return results[0]?.entry.id ?? '';
    },
    stop: async () => {
      for (const each of running.reverse()) await each.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function eventually(check: () => Promise<unknown>, log: string): Promise<void> {
  for (let count = 0; ; count += 1) {
    try {
      await check();
      return;
    } catch (cause) {
      if (count === 150) throw new Error(readFileSync(log, 'utf8'), { cause });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
