-- A table that several scripts and one accountant have filled over the years.
-- Amounts are text in whatever form each of them wrote; reductions stand in brackets.
CREATE TABLE orders (
  order_id varchar(20) NOT NULL,
  created_at datetime NOT NULL,
  email varchar(191) DEFAULT NULL,
  currency varchar(3) DEFAULT 'USD',
  financial_status varchar(30) DEFAULT NULL,
  subtotal varchar(32) DEFAULT NULL,
  discount_amount varchar(32) DEFAULT NULL,
  shipping varchar(32) DEFAULT NULL,
  tax varchar(32) DEFAULT NULL,
  total varchar(32) DEFAULT NULL,
  total_refunded varchar(32) DEFAULT NULL,
  line_items longtext,
  PRIMARY KEY (order_id)
) DEFAULT CHARSET=utf8mb4;
