import { z } from 'zod';
import { filePath } from './scalars.ts';

const name = (description: string, example: string) =>
  z
    .string()
    .regex(/^[^\p{C}\s]{1,63}$/u, `${description}: 1 to 63 characters without spaces`)
    .meta({ description, examples: [example] });

const postgres = z
  .strictObject({
    host: z
      .string()
      .regex(
        /^(?:\/[^\p{C}]{1,100}|[A-Za-z0-9.:-]{1,253})$/u,
        "a host's name, or the folder of a socket, which begins with '/'",
      )
      .meta({
        description:
          "the server: a name that its certificate has, or the folder of its Unix socket, which begins with '/'",
        examples: ['db.bank.example'],
      }),
    port: z
      .int()
      .min(1)
      .max(65_535)
      .default(5432)
      .meta({ description: 'its port', examples: [5432] }),
    database: name('the database', 'countersign'),
    user: name('the role that owns it', 'countersign'),
    passwordFile: filePath(
      "the role's password; read at each new connection; absent where the server asks for none",
      '/run/secrets/postgres-password',
    ).optional(),
    caFile: filePath(
      "the authorities of the server's certificate, PEM; the system's if not said; there is always TLS but on a Unix socket",
      '/etc/ssl/db-ca.pem',
    ).optional(),
    certificateFile: filePath(
      'a client certificate that the role is known by, PEM',
      '/run/secrets/postgres.pem',
    ).optional(),
    keyFile: filePath('its key, PEM', '/run/secrets/postgres.key').optional(),
    connections: z
      .int()
      .min(4)
      .max(100)
      .default(10)
      .meta({ description: 'at once, 4 to 100; two more listen and hold a lock', examples: [10] }),
  })
  .meta({ description: 'a database of a PostgreSQL, 15 or later' });

/** `authority.storage`. */
export const storageShape = z
  .strictObject({ postgres: postgres.optional() })
  .meta({ description: 'where the state is kept; absent: in the data folder, by SQLite' });
