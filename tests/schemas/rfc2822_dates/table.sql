-- A mail-driven import: an order is stored with the Date header of the message that announced it.
CREATE TABLE orders (
  id int(11) NOT NULL,
  name varchar(20) NOT NULL,
  email varchar(191) DEFAULT NULL,
  created_at varchar(40) NOT NULL,
  cancelled_at varchar(40) DEFAULT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(30) NOT NULL,
  subtotal_price decimal(12,2) NOT NULL,
  total_discounts decimal(12,2) NOT NULL,
  shipping_price decimal(12,2) NOT NULL,
  total_tax decimal(12,2) NOT NULL,
  total_price decimal(12,2) NOT NULL,
  total_refunded decimal(12,2) NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
