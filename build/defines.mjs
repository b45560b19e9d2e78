// What the build tells the TypeScript about itself: the values that lib/cni/build.ts declares.

/** How Go and container images call the processors. */
const architectures = { x86_64: "amd64", aarch64: "arm64" };

/** esbuild's "define". */
export const definesOf = ({ version, buildId, target }) => ({
  WEFT_VERSION: JSON.stringify(version),
  WEFT_BUILD_ID: JSON.stringify(buildId),
  WEFT_ARCHITECTURE: JSON.stringify(architectures[target]),
});
