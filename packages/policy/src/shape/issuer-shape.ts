import { z } from 'zod';
import { joinsShape } from './join-shape.ts';
import { filePath, hostPort, kebab } from './scalars.ts';

/** One entry of `authority.issuers`. */
export const issuerShape = z
  .strictObject({
    name: kebab("the issuer's name; its SPIFFE ID ends in it", 'issuer-b'),
    address: hostPort('the address to listen on', '0.0.0.0:7402'),
    certificateFile: filePath(
      "the certificate of the web's or the bank's CA that clients are shown in place of the SVID, with its intermediates, PEM; an absolute path on the issuer's host; read again when it changes",
      '/run/secrets/issuer.pem',
    ).optional(),
    keyFile: filePath('the key of that certificate, PEM', '/run/secrets/issuer.key').optional(),
    join: joinsShape,
  })
  .meta({
    description: 'a process of its own that issues tokens beside the authority, on its PostgreSQL',
  });
