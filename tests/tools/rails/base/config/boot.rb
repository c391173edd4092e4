# SPDX-License-Identifier: Apache-2.0
ENV["RAILS_ENV"] ||= "development"
