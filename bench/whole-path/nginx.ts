import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitForPort } from './wait-for-port.ts';

/** Certificates that the proxies present and check. */
export interface NginxTls {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The authorities that clients' certificates must come from. */
  readonly clientAuthoritiesFile: string;
}

/** One nginx with one worker. */
export interface Nginx {
  readonly pids: () => readonly number[];
  stop(): Promise<void>;
}

/** The protected resource of the benchmark: answers 1,024 bytes of JSON to anything. */
export function upstreamConfig(port: number): string {
  const body = JSON.stringify({ data: 'x'.repeat(1013) });
  return `server { listen 127.0.0.1:${port}; keepalive_requests 100000000;
    location / { default_type application/json; return 200 '${body}'; } }`;
}

/** nginx as mTLS proxy: what every bank has. */
export function proxyConfig(port: number, upstreamPort: number, tls: NginxTls): string {
  return `upstream resource_${port} { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 100000000; }
  server { ${tlsLines(port, tls)}
    location / { ${proxyLines(`resource_${port}`)} } }`;
}

/** nginx asking a small service about every request: the usual arrangement today. */
export function authRequestConfig(
  port: number,
  upstreamPort: number,
  authPort: number,
  tls: NginxTls,
): string {
  return `upstream resource_${port} { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 100000000; }
  upstream auth_${port} { server 127.0.0.1:${authPort}; keepalive 64; keepalive_requests 100000000; }
  server { ${tlsLines(port, tls)}
    location / { auth_request /_auth; ${proxyLines(`resource_${port}`)} }
    location = /_auth { internal; proxy_pass http://auth_${port}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Client-Cert $ssl_client_escaped_cert; } }`;
}

function tlsLines(port: number, tls: NginxTls): string {
  return `listen 127.0.0.1:${port} ssl; keepalive_requests 100000000; ssl_protocols TLSv1.3;
    ssl_certificate ${tls.certificateFile}; ssl_certificate_key ${tls.keyFile};
    ssl_client_certificate ${tls.clientAuthoritiesFile}; ssl_verify_client on; ssl_session_tickets off;`;
}

function proxyLines(upstream: string): string {
  return `proxy_pass http://${upstream}; proxy_http_version 1.1; proxy_set_header Connection "";`;
}

/** Starts nginx in `folder` with these servers, bound to one processor. */
export async function startNginx(
  folder: string,
  servers: readonly string[],
  { port, cpu }: { port: number; cpu: number },
): Promise<Nginx> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  ${servers.join('\n  ')}
}
`,
  );
  const child: ChildProcess = spawn(
    'taskset',
    ['-c', String(cpu), 'nginx', '-p', folder, '-c', file],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  try {
    const ended = exited.then(() => Promise.reject(new Error('nginx ended at its start')));
    await Promise.race([waitForPort(port), ended]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pids: () => workersOf(child.pid ?? 0), stop };
}

function workersOf(master: number): readonly number[] {
  return readFileSync(`/proc/${master}/task/${master}/children`, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
}
