// The reservations of one network: a directory with a file for each address, whose content is the owner. The Go plugin
// reads and writes the same directory at the same time, so names, contents, modes and the lock are its own:
//
//   lock                  empty; flock(2) on it while working
//   last_reserved_ip.<N>  the address range set N gave last; "" or junk only loses the round robin's place
//   10.244.1.7            "<containerID>\r\n<ifName>"; that the file exists means taken, whatever it holds
//
// Methods that need the lock exist only while it is held.
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host, PreparedFile } from "../../lib/host/host.ts";
import { formatIp, parseIp, type Ip } from "../../lib/ip/ip.ts";

const lockTimeoutMs = 30_000;
const directoryMode = 0o755;
const lockMode = 0o750;
const fileMode = 0o600;

export interface LockedStore {
  /** Gives the prepared reservation this address; false when somebody holds it. */
  reserve(reservation: PreparedFile, ip: Ip): boolean;
  lastReserved(rangeSet: number): Ip | undefined;
  /** Remembers the round robin's place. */
  setLastReserved(rangeSet: number, ip: Ip): void;
  /** The addresses of an attachment; also those that very old plugins wrote with the container id alone. */
  heldBy(owner: Attachment): Ip[];
  /** Gives up one address. */
  free(ip: Ip): void;
  /** Every address in the directory, with what its file holds. */
  all(): { readonly ip: Ip; readonly content: string }[];
}

export interface ReservationStore {
  /** A reservation for this owner, complete and synced, without an address so far. Made before the lock is taken. */
  prepare(owner: Attachment): PreparedFile;
  /** Runs `body` while holding the lock. Throws a CniError (11) when another process holds it too long. */
  locked<T>(body: (store: LockedStore) => T): T;
  /** Makes what was reserved survive a power loss. */
  sync(): void;
}

const ownerText = ({ containerId, ifName }: Attachment): string => `${containerId}\r\n${ifName}`;

/** Whether a file's content names this owner: with either newline, or by the container id alone. */
function names(content: string, { containerId, ifName }: Attachment): boolean {
  const trimmed = content.trim();
  return (
    trimmed === containerId || trimmed === `${containerId}\r\n${ifName}` || trimmed === `${containerId}\n${ifName}`
  );
}

/** The store of a network. `create` makes its directory; without it undefined says that there is none. */
export function openStore(
  host: Host,
  dataDir: string,
  network: string,
  options: { readonly create: true },
): ReservationStore;
export function openStore(
  host: Host,
  dataDir: string,
  network: string,
  options: { readonly create: false },
): ReservationStore | undefined;
export function openStore(
  host: Host,
  dataDir: string,
  network: string,
  { create }: { readonly create: boolean },
): ReservationStore | undefined {
  const directory = `${dataDir}/${network}`;
  const fileOf = (ip: Ip) => `${directory}/${formatIp(ip)}`;
  const { files } = host;
  if (!create && files.stat(directory) === undefined) return undefined;

  function takeLock() {
    const path = `${directory}/lock`;
    const options = { mode: lockMode, timeoutMs: lockTimeoutMs };
    const take = () => {
      try {
        return files.lock(path, options);
      } catch (error) {
        if (!create || !isErrno(error, "ENOENT")) throw error;
        files.makeDirectory(directory, directoryMode);
        return files.lock(path, options);
      }
    };
    const lock = take();
    if (lock !== undefined) return lock;
    throw new CniError(
      "tryAgainLater",
      `${path} is locked by another process for more than ${lockTimeoutMs / 1000} s`,
      {
        hint: "find its holder: fuser -v, or grep the file's inode in /proc/locks",
      },
    );
  }

  const store: LockedStore = {
    reserve: (reservation, ip) => reservation.publish(fileOf(ip)),

    lastReserved(rangeSet) {
      const path = `${directory}/last_reserved_ip.${rangeSet}`;
      try {
        return parseIp(files.read(path, 64));
      } catch (error) {
        if (!isErrno(error, "ENOENT"))
          host.log(`host-local: ${(error as Error).message}; starting at the beginning of the range`);
        return undefined;
      }
    },

    setLastReserved(rangeSet, ip) {
      files.write(`${directory}/last_reserved_ip.${rangeSet}`, formatIp(ip), fileMode);
    },

    heldBy(owner) {
      return files.containing(directory, owner.containerId).flatMap((name) => {
        const ip = parseIp(name);
        return ip !== undefined && names(files.read(`${directory}/${name}`), owner) ? [ip] : [];
      });
    },

    free(ip) {
      files.remove(fileOf(ip));
    },

    all() {
      return files.list(directory).flatMap((name) => {
        const ip = parseIp(name);
        return ip === undefined ? [] : [{ ip, content: files.read(`${directory}/${name}`) }];
      });
    },
  };

  return {
    prepare(owner) {
      const make = () => files.prepare(directory, ownerText(owner), fileMode);
      try {
        return make();
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw error;
        files.makeDirectory(directory, directoryMode);
        return make();
      }
    },

    locked(body) {
      const lock = takeLock();
      try {
        return body(store);
      } finally {
        lock.release();
      }
    },

    sync: () => files.syncDirectory(directory),
  };
}
