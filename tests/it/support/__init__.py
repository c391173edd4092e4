# SPDX-License-Identifier: Apache-2.0
"""What the integration tests stand on: servers, a proxy, the runner of the binary."""
