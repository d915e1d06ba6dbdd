import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { type ExportSink, fileSink, httpsSink, otlpSink, syslogSink } from '@countersign/audit';
import type { Clock } from '@countersign/model';
import type { ExportConfig } from '@countersign/policy';
import { CommandError } from '../../command-line/command.ts';
import { version } from '../../version.ts';

/**
 * Makes the sink that an export's configuration describes.
 *
 * @throws {CommandError} when a file that it names cannot be read; a token's is read for each batch, and may come later
 */
export async function openSink(config: ExportConfig, now: Clock): Promise<ExportSink> {
  const { kind, url = '', format, folder = '', address, tokenFile } = config;
  const tls = await readTls(config);
  const http = {
    ...{ url, now, ...tls },
    ...(tokenFile !== undefined && {
      bearerToken: async () => (await readFile(tokenFile, 'utf8')).trim(),
    }),
  };
  switch (kind) {
    case 'https':
      return httpsSink({ ...http, ...(format !== undefined && { format }) });
    case 'otlp':
      return otlpSink({ ...http, version: version });
    case 'files':
      return fileSink({ folder, now });
    case 'syslog': {
      const { host = '', port = 0 } = address ?? {};
      return syslogSink({ ...tls, host, port, hostname: hostname() });
    }
    default:
      return assertNever(kind);
  }
}

async function readTls({ name, caFile, certificateFile, keyFile }: ExportConfig): Promise<{
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}> {
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(file, 'utf8');
    } catch (cause) {
      const { message } = cause as Error;
      throw new CommandError(`cannot start export '${name}': ${message}`, { cause });
    }
  };
  return {
    ...(caFile !== undefined && { ca: await read(caFile) }),
    ...(certificateFile !== undefined && { certificate: await read(certificateFile) }),
    ...(keyFile !== undefined && { key: await read(keyFile) }),
  };
}

function assertNever(kind: never): never {
  throw new TypeError(`found an export of kind '${kind}'`);
}
